"""Builds the files of QM9 that ship with the package: the set of known molecules and the sample.

    python -m moldiff.metrics.reference qm9_train.bin
    python -m moldiff.metrics.reference qm9_test.json.xz

Needs the extra `moldiff[qm9]` for the data, and for the sample `moldiff[eval,xtb]` too. The first takes a minute or
two, the second about ten.
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
from moldiff.metrics.reference.qm9_sample import build_sample


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


def main(out: Path) -> str:
    """Build the set (`out` ends in .bin) or the sample (.json.xz), write it to `out`, and tell what it holds.

    Raises:
        ModuleNotFoundError: if `qm9pack` is not installed.
        ValueError: if it does not hold the expected number of molecules, or the name ends otherwise.
    """
    if not out.name.endswith((".bin", ".json.xz")):
        raise ValueError(f"Got {out.name!r}; expected a name that ends in .bin (the set) or .json.xz (the sample)")
    records = list(tqdm(qm9_records(qm9pack_folder()), "reading", NUM_QM9))
    if len(records) != NUM_QM9:
        raise ValueError(f"Got {len(records)} molecules from qm9pack; expected {NUM_QM9}")
    if out.name.endswith(".json.xz"):
        sample = build_sample(records, out)
        return f"{out}: {len(sample.smiles)} molecules, {out.stat().st_size} bytes"
    rows = sorted(edm_split().train.tolist())
    molecules = (Chem.MolFromSmiles(records[row][0]) for row in tqdm(rows, "SMILES"))
    reference = Reference.of(
        "the training set of QM9", molecules, (records[row][1] for row in tqdm(rows, "geometries"))
    )
    out.write_bytes(reference.to_bytes())
    return (
        f"{out}: {reference.num_molecules} molecules, {reference.skipped} unreadable, {len(reference.smiles)} distinct "
        f"SMILES, {len(reference.edm_smiles)} distinct SMILES by EDM's rule"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m moldiff.metrics.reference OUT.bin|OUT.json.xz")
    sys.stdout.write(f"{main(Path(sys.argv[1]))}\n")
