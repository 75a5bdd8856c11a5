"""Data sets of any size: a folder of tables that are mapped into memory, a few at a time, in place of being read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable

SHARD = 16_384
"""Molecules in a file: a few MB for small molecules."""

_OPEN = 32  # files that are mapped at a time: twice as many as are mixed


def write_shards(tables: Iterable[MoleculeTable], folder: str | Path, shard_size: int = SHARD) -> list[Path]:
    """Write the molecules of tables, which may come one by one, into the files 00000.safetensors and so on of a folder.

    Each file is a `MoleculeTable` with its `Statistics` in the metadata. Molecules of all kinds should be in each
    file, for the files are split into training, validation and test: mix them before, if they are sorted.

    Args:
        tables: of one vocabulary.
        folder: is made; it must not hold such files.
        shard_size: molecules in a file; the last one may have fewer.

    Raises:
        FileExistsError: if the folder holds shards.
        ValueError: if there is no molecule, or the vocabularies differ.
    """
    folder = Path(folder)
    if any(folder.glob("*.safetensors")):
        raise FileExistsError(f"{folder} holds .safetensors files: choose another folder, or remove them")
    files: list[Path] = []
    rest: MoleculeTable | None = None

    def write(table: MoleculeTable) -> None:
        about = {"statistics": Statistics.of(table).to_dict()}
        files.append(folder / f"{len(files):05d}.safetensors")
        replace(table, metadata=about).save(files[-1])

    for table in tables:
        rest = MoleculeTable.concatenate([rest, table]) if rest is not None and len(rest) else table
        while len(rest) >= shard_size:
            write(rest.subset(range(shard_size)))
            rest = rest.subset(range(shard_size, len(rest)))
    if rest is not None and len(rest):
        write(rest)
    if not files:
        raise ValueError("Got no molecules to write; expected at least one")
    return files


class ShardedTable:
    """Molecules of files by `write_shards`, numbered through all files.

    A file is mapped when one of its molecules is asked for, and only the pages that are needed are read; processes that
    use the same files share them. What is kept for each file is its number of molecules and its statistics.

    Args:
        files: in their order.

    Raises:
        ValueError: if there is no file, one has no statistics, or the vocabularies differ.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        if not files:
            raise ValueError("Got no files; expected some by `moldiff.data.shards.write_shards`")
        self.files = list(files)
        self._open: OrderedDict[int, MoleculeTable] = OrderedDict()
        parts = []
        for number, file in enumerate(self.files):
            found = self._table(number).metadata.get("statistics")
            if found is None:
                raise ValueError(f"{file} has no statistics; expected a file by `moldiff.data.shards.write_shards`")
            parts.append(Statistics.from_dict(found))
        self.statistics = Statistics.merged(parts)
        self.starts = np.cumsum([0, *(part.num_molecules for part in parts)])

    @property
    def vocabulary(self) -> Vocabulary:
        """Elements, charges and bond orders."""
        return self.statistics.vocabulary

    def __len__(self) -> int:
        """Number of molecules."""
        return int(self.starts[-1])

    def sizes_of(self, shard: int) -> NDArray[np.int64]:
        """Number of atoms of each molecule of a file."""
        sizes: NDArray[np.int64] = self._table(shard).sizes.numpy()
        return sizes

    def __getitems__(self, indices: Sequence[int]) -> MolBatch:
        """The molecules with these numbers, padded to the largest of them."""
        rows = np.asarray(indices, dtype=np.int64)
        shards = np.searchsorted(self.starts, rows, side="right") - 1
        order = np.argsort(shards, kind="stable")
        parts = [
            self._table(int(k)).subset(torch.from_numpy(rows[order][shards[order] == k] - self.starts[k]))
            for k in np.unique(shards)
        ]
        return MoleculeTable.concatenate(parts).batch(torch.from_numpy(np.argsort(order)))

    def _table(self, shard: int) -> MoleculeTable:
        """A mapped file; the one that was used longest ago is closed."""
        if shard not in self._open:
            self._open[shard] = MoleculeTable.mapped(self.files[shard])
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(shard)
        return self._open[shard]
