"""Molecules from a list of SMILES, put into 3D: MOSES (Polykovskiy et al. 2020), or any file."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from moldiff.chem.conformer import embedded_or_reason
from moldiff.chem.files import read_text
from moldiff.data.cache import cached_table, file_checksum
from moldiff.data.csv_file import csv_rows
from moldiff.data.ligands import PROCESSING_VERSION, ligand_table, merged
from moldiff.data.parallel import parallel_map
from moldiff.data.table import MoleculeTable

SHARD = 1000  # SMILES whose molecules are stored together, so that at most these are lost when the work is stopped
SUFFIXES = (".csv", ".csv.gz", ".smi", ".smi.gz", ".txt", ".txt.gz")


def moses_file() -> Path:
    """The 1,584,663 training SMILES in the installed package `molsets`, which is not imported: it needs old libraries.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    try:
        files = importlib.metadata.files("molsets") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ModuleNotFoundError(
            "MOSES comes with the package molsets, which is not installed: pip install --no-deps molsets "
            "(its dependencies are outdated and not needed), or name a file of SMILES"
        ) from error
    for file in files:
        if file.as_posix().endswith("dataset/data/train.csv.gz"):
            return Path(str(file.locate()))
    raise ModuleNotFoundError("The installed package molsets lacks dataset/data/train.csv.gz; expected release 0.3.1")


def read_smiles(path: Path) -> tuple[str, ...]:
    """The SMILES of a CSV file with a column `SMILES`, or the first word of each line of a .smi or .txt file.

    Raises:
        ValueError: if there is no such column, or no SMILES.
    """
    if ".csv" in path.suffixes:
        rows = csv_rows(path)
        header = [name.strip().lower() for name in next(rows, [])]
        if "smiles" not in header:
            raise ValueError(
                f"{path} has the columns {', '.join(header)[:200] or '(none)'}; expected one called SMILES"
            )
        place = header.index("smiles")
        smiles = tuple(row[place] for row in rows if len(row) > place and row[place])
    else:
        smiles = tuple(line.split()[0] for line in read_text(path).splitlines() if line.strip())
    if not smiles:
        raise ValueError(f"{path} holds no SMILES; expected one at the start of each line, or a column SMILES")
    return smiles


@lru_cache(maxsize=1)
def _smiles_of(path: Path, checksum: str) -> tuple[str, ...]:
    """The SMILES of a file as long as its content is the same."""
    return read_smiles(path)


def smiles_table(
    path: str | Path, num_molecules: int | None = None, seed: int = 0, processes: int | None = None
) -> MoleculeTable:
    """One conformer each of a random choice of the SMILES of a file, in the order of that choice.

    Finished parts are cached, so that work that was stopped goes on, and a larger choice adds to a smaller one. Each
    molecule is a function of its SMILES, its number and the seed alone. `index` is the number of the SMILES in the file
    from 0; what could not be embedded or is unsuitable (`moldiff.chem.ligand`) is left out and counted in the metadata.

    Args:
        path: see `read_smiles`.
        num_molecules: how many SMILES are taken; None = all.
        seed: of the choice and of the conformers.
        processes: see `moldiff.data.parallel`.
    """
    path = Path(path)
    if num_molecules is not None and num_molecules < 1:
        raise ValueError(f"Got num_molecules={num_molecules}; expected at least 1, or null for all")
    checksum = file_checksum(path)
    folder = f"smiles-{checksum[:16]}-seed{seed}"
    wanted = total = num_molecules if num_molecules is not None else len(_smiles_of(path, checksum))
    shards: list[MoleculeTable] = []
    with tqdm(total=wanted, desc=f"Embedding {_name(path)}", unit=" molecules", mininterval=1.0, delay=2.0) as bar:
        for first in range(0, wanted, SHARD):
            last = min(first + SHARD, wanted)
            if first >= total:
                break
            name = f"{first // SHARD:05d}" if last - first == SHARD else f"{first // SHARD:05d}-{last - first}"

            def build(first: int = first, last: int = last) -> MoleculeTable:
                return _embed(_smiles_of(path, checksum), first, last, seed, processes, bar.update)

            shard = cached_table(f"{folder}/{name}", PROCESSING_VERSION, build)
            total = shard.metadata["num_smiles"]
            shards.append(shard)
            bar.total = min(wanted, total)
            bar.update(min(last, total) - bar.n)
    return merged(shards, {"source": path.name, "num_smiles": total, "num_taken": min(wanted, total), "seed": seed})


def _embed(
    smiles: Sequence[str], first: int, last: int, seed: int, processes: int | None, advance: Callable[[], object]
) -> MoleculeTable:
    """The molecules at the places `first` to `last` of the random order."""
    numbers = np.random.default_rng(seed).permutation(len(smiles))[first:last].tolist()
    work = [(smiles[number], _conformer_seed(seed, number)) for number in numbers]
    results = []
    for result in parallel_map(embedded_or_reason, work, processes):
        results.append(result)
        advance()
    return ligand_table(numbers, results, {"num_smiles": len(smiles)})


def _conformer_seed(seed: int, number: int) -> int:
    """A seed for RDKit, which wants 0 to 2^31 - 1."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def _name(path: Path) -> str:
    return "MOSES" if re.search(r"moses/dataset", path.as_posix()) else path.name
