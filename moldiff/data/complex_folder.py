"""Adding complexes to a folder of complexes: see `moldiff.data.complexes` for its layout."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rdkit import Chem

from moldiff.chem.files import MoleculeWriter
from moldiff.chem.pocket import Pocket
from moldiff.chem.protein_files import write_pocket_pdb
from moldiff.data.complexes import FOLDER, INDEX, LIGAND, POCKET
from moldiff.data.csv_file import csv_rows

COLUMNS = ("id", "split", "source", "cluster", "smiles", "num_heavy_atoms", "num_pocket_residues", "min_distance")
"""Columns of an index.csv that is made here."""


def check_new(folder: str | Path, name: str) -> None:
    """Whether an entry can be added under a name.

    Raises:
        ValueError: if the name has other characters than letters, digits, `_`, `-`, `.` and `+`.
        FileExistsError: if there is such an entry.
    """
    if not re.fullmatch(r"\w[\w.+-]*", name, re.ASCII):
        raise ValueError(f"Got id {name!r}; expected letters, digits, '_', '-', '.' or '+', a letter or digit first")
    if (Path(folder) / FOLDER / name).exists():
        raise FileExistsError(f"{Path(folder) / FOLDER / name} exists; choose another id")


def add_complex(
    folder: str | Path, name: str, pocket: Pocket, ligand: Chem.Mol | None, row: Mapping[str, object]
) -> Path:
    """Write one entry, then its row in index.csv; nothing is left behind if that fails, and no entry is replaced.

    Several processes may add to one folder at the same time.

    Args:
        folder: made if there is none.
        name: id of the entry.
        pocket: written as pocket.pdb.
        ligand: written as ligand.sdf; None if there is none.
        row: values for index.csv, by column. An index.csv that exists keeps its columns: others are dropped.

    Returns:
        The folder of the entry.

    Raises:
        ValueError: if the name cannot be used, index.csv has no column `id`, or the pocket is too large for PDB.
        FileExistsError: if there is such an entry.
    """
    check_new(folder, name)
    root = Path(folder)
    final = root / FOLDER / name
    root.mkdir(parents=True, exist_ok=True)
    columns = _columns(root / INDEX)
    final.parent.mkdir(exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".adding-", dir=root))
    temporary.chmod(0o755)
    try:
        write_pocket_pdb(pocket, temporary / POCKET)
        if ligand is not None:
            with MoleculeWriter(temporary / LIGAND) as writer:
                writer.write(ligand)
        try:
            temporary.rename(final)  # refuses to replace a folder that holds anything
        except OSError as error:
            raise FileExistsError(f"{final} exists; choose another id") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    try:
        _append(root / INDEX, columns, {**row, "id": name})
    except OSError:
        shutil.rmtree(final)
        raise
    return final


def _columns(index: Path) -> list[str]:
    """Columns of index.csv; a file with the usual ones is made if there is none."""
    if not index.exists():
        descriptor, temporary = tempfile.mkstemp(prefix=".index-", dir=index.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(",".join(COLUMNS) + "\n")
        os.chmod(temporary, 0o644)
        try:
            with suppress(FileExistsError):  # another process was faster
                os.link(temporary, index)
        except OSError:  # a file system without links
            with suppress(FileExistsError), open(index, "x", encoding="utf-8") as file:
                file.write(",".join(COLUMNS) + "\n")
        finally:
            Path(temporary).unlink(missing_ok=True)
    columns = next(csv_rows(index), [])
    if "id" not in columns:
        raise ValueError(f"{index}: got the columns {columns[:20]}; expected 'id' among them")
    return columns


def _append(index: Path, columns: list[str], row: Mapping[str, object]) -> None:
    """Append a row by one write to the end of the file, which no other process can come between."""
    text = io.StringIO()
    with open(index, "rb") as file:
        file.seek(-1, os.SEEK_END)
        text.write("" if file.read(1) == b"\n" else "\n")
    csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n").writerow(dict(row))
    with open(index, "ab", buffering=0) as file:
        file.write(text.getvalue().encode())
