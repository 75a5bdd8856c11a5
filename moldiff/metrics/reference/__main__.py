"""Builds the reference set of QM9 that ships with the package: `python -m moldiff.metrics.reference qm9_train.bin`.

Needs the extra `moldiff[qm9]` for the data; takes a minute or two.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import GetPeriodicTable
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays
from moldiff.data.qm9_sources import qm9pack_folder
from moldiff.data.splits import NUM_QM9, edm_split
from moldiff.metrics.reference import Reference


def qm9_records(folder: Path) -> Iterator[tuple[str, MoleculeArrays]]:
    """SMILES and geometry of all molecules of `qm9pack`, in the order of their index."""
    csv.field_size_limit(2**31 - 1)
    table = GetPeriodicTable()
    for part in (1, 2, 3):
        with (folder / f"qm9_part{part}.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                symbols = row["Elements"].strip("[]").replace("'", "").split(",")
                numbers = np.array([table.GetAtomicNumber(symbol.strip()) for symbol in symbols], dtype=np.int64)
                flat = row["XYZ_Ang"].replace("[", "").replace("]", "").split(",")
                positions = np.array(flat, dtype=np.float64).reshape(-1, 3)
                yield row["SMILES"], MoleculeArrays(numbers, positions, np.zeros_like(numbers))


def main(out: Path) -> Reference:
    """Build the set and write it to `out`.

    Raises:
        ModuleNotFoundError: if `qm9pack` is not installed.
        ValueError: if it does not hold the expected number of molecules.
    """
    records = list(tqdm(qm9_records(qm9pack_folder()), "reading", NUM_QM9))
    if len(records) != NUM_QM9:
        raise ValueError(f"Got {len(records)} molecules from qm9pack; expected {NUM_QM9}")
    rows = sorted(edm_split().train.tolist())
    molecules = (Chem.MolFromSmiles(records[row][0]) for row in tqdm(rows, "SMILES"))
    reference = Reference.of(
        "the training set of QM9", molecules, (records[row][1] for row in tqdm(rows, "geometries"))
    )
    out.write_bytes(reference.to_bytes())
    return reference


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m moldiff.metrics.reference OUT.bin")
    built = main(Path(sys.argv[1]))
    sys.stdout.write(
        f"{sys.argv[1]}: {built.num_molecules} molecules, {built.skipped} unreadable, {len(built.smiles)} distinct "
        f"SMILES, {len(built.edm_smiles)} distinct SMILES by EDM's rule\n"
    )
