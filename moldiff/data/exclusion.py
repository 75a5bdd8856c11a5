"""Molecules that must not be trained on, by the keys of their connectivity graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from moldiff.chem.connectivity import connectivity_key
from moldiff.chem.files import read_text
from moldiff.chem.smiles import LONGEST
from moldiff.data.csv_file import csv_records

CROSSDOCKED = "crossdocked2020"
_SHIPPED = Path(__file__).parent / "reference" / "crossdocked2020_test_keys.txt"


def excluded_keys(source: str | Path | None) -> NDArray[np.int64]:
    """Sorted keys (`moldiff.chem.connectivity`) of the molecules to leave out.

    Args:
        source: `crossdocked2020` for the 100 ligands of that benchmark's test set, whose keys are shipped; a CSV file
            with a column `smiles` (of which only the rows with `split` = `test` count, if it has a column `split`); a
            .smi or .txt file with a SMILES as the first word of each line; None = nothing.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a file has no SMILES, or RDKit cannot read one.
    """
    if source is None:
        return np.empty(0, dtype=np.int64)
    if source == CROSSDOCKED:
        lines = _SHIPPED.read_text(encoding="utf-8").split()
        return np.sort(np.array([int(line, 16) for line in lines], dtype=np.uint64).view(np.int64))
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; expected one with SMILES to exclude, or {CROSSDOCKED!r}")
    return np.unique(np.array([_key(smiles, path) for smiles in _smiles(path)], dtype=np.int64))


def key_lines(keys: NDArray[np.int64]) -> str:
    """Keys as the text of a file: one a line, 16 hexadecimal digits, sorted."""
    return "".join(f"{key:016x}\n" for key in np.unique(keys.view(np.uint64)).tolist())


def _smiles(path: Path) -> list[str]:
    if path.suffix != ".csv":
        smiles = [line.split()[0] for line in read_text(path).splitlines() if line.strip()]
    else:
        rows = [{name.lower(): value for name, value in row.items()} for row in csv_records(path)]
        smiles = [
            row["smiles"] for row in rows if row.get("smiles") and row.get("split", "test").strip().lower() == "test"
        ]
    if not smiles:
        raise ValueError(f"{path} holds no SMILES to exclude; expected a column smiles, or one SMILES a line")
    return smiles


def _key(smiles: str, path: Path) -> int:
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles) if len(smiles) <= LONGEST else None
    if mol is None:
        raise ValueError(f"{path}: RDKit cannot read the SMILES {smiles[:80]!r}; correct or remove it")
    return connectivity_key(mol)
