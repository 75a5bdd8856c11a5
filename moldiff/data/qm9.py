"""QM9: 130,831 small organic molecules with B3LYP/6-31G(2df,p) geometries and properties.

Ramakrishnan et al. 2014, "Quantum chemistry structures and properties of 134 kilo molecules"; the 3,054 molecules that
failed the authors' consistency check are left out in both sources.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.assignment import UnexplainedBondsError
from moldiff.data.cache import cached_table, file_checksum
from moldiff.data.datamodule import TableSplits
from moldiff.data.qm9_sources import PROPERTIES, Record, gdb9_files, read_gdb9, read_qm9pack
from moldiff.data.splits import NUM_QM9, Split
from moldiff.data.table import MoleculeTable

PROCESSING_VERSION = 2  # raise it whenever the table would come out different


def qm9_table(source: str = "qm9pack") -> MoleculeTable:
    """All of QM9 in index order with its properties (`moldiff.data.qm9_sources.PROPERTIES`), cached.

    `metadata["methods"]` counts how the bonds were found (see `moldiff.chem.assignment`), `metadata["left_out"]` names
    the indices of the molecules whose bonds could not be explained, by reason; `metadata["units"]` those of properties.
    """
    if source == "qm9pack":
        return cached_table(
            f"qm9-qm9pack-v{PROCESSING_VERSION}", PROCESSING_VERSION, lambda: build_table(read_qm9pack(), source)
        )
    files = gdb9_files(Path(source))
    digest = hashlib.sha256("".join(map(file_checksum, files)).encode()).hexdigest()
    return cached_table(f"qm9-gdb9-{digest[:16]}", PROCESSING_VERSION, lambda: build_table(read_gdb9(files[0]), source))


def build_table(records: Iterable[Record], source: str) -> MoleculeTable:
    """Find the bonds of all records, with a progress bar; those that cannot be explained are left out and counted."""
    index: list[int] = []
    properties: list[tuple[float, ...]] = []
    molecules: list[MoleculeArrays] = []
    smiles: list[str] = []
    methods: Counter[str] = Counter()
    left_out: dict[str, list[int]] = {}
    for record in tqdm(records, "Processing QM9", NUM_QM9, unit=" molecules", mininterval=1.0):
        try:
            assignment = record.assign()
        except UnexplainedBondsError as error:
            left_out.setdefault(str(error), []).append(record.index)
            continue
        methods[assignment.method] += 1
        index.append(record.index)
        properties.append(record.properties)
        molecules.append(assignment.molecule)
        smiles.append(assignment.smiles)
    units = {name: p.unit for name, p in PROPERTIES.items()}
    metadata: dict[str, Any] = {"source": source, "methods": dict(methods), "left_out": left_out, "units": units}
    return MoleculeTable.from_arrays(
        molecules,
        index=index,
        properties=dict(zip(PROPERTIES, zip(*properties, strict=True), strict=True)),
        smiles=smiles,
        metadata=metadata,
    )


def split_table(table: MoleculeTable, split: Split) -> TableSplits:
    """The parts of a table of QM9. The places of the split count the molecules that were left out as well."""
    kept = table.index.numpy()
    left_out = [np.array(numbers, dtype=np.int64) for numbers in table.metadata["left_out"].values()]
    everything = np.sort(np.concatenate([kept, *left_out]))

    def part(places: NDArray[np.int64]) -> MoleculeTable:
        index = everything[places]
        return table.subset(torch.from_numpy(np.searchsorted(kept, index[np.isin(index, kept)])))

    return TableSplits(part(split.train), part(split.val), part(split.test))
