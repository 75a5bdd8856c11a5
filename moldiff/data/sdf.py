"""Any user's SDF files as a table: what is in them is found out, what cannot be used is named."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from rdkit import Chem, rdBase
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays, from_mol, sanitized
from moldiff.chem.files import read_molecules
from moldiff.chem.smiles import canonical_smiles
from moldiff.data.cache import cached_table, file_checksum
from moldiff.data.table import MoleculeTable

PROCESSING_VERSION = 1  # raise it whenever the table would come out different
_SUFFIXES = (".sdf", ".sdf.gz")
_NAMED = 5  # so many records are named in a message; all are in the table's metadata

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeftOut:
    """A record that could not be used."""

    file: str
    record: int  # from 1
    reason: str


def sdf_files(path: str | Path) -> list[Path]:
    """The file, or the .sdf and .sdf.gz files of a folder in the order of their names.

    Raises:
        FileNotFoundError: if there is nothing at `path`, or no such file in the folder.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}; give an .sdf or .sdf.gz file, or a folder of them")
    files = sorted(p for p in path.iterdir() if p.name.lower().endswith(_SUFFIXES)) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"The folder {path} holds no .sdf or .sdf.gz file; give one that does")
    return files


def files_digest(files: list[Path]) -> str:
    """SHA-256 of the names and contents of files, by which the cache knows them."""
    return hashlib.sha256("".join(f"{file.name} {file_checksum(file)};" for file in files).encode()).hexdigest()


def sdf_table(path: str | Path) -> MoleculeTable:
    """All usable molecules of a file or folder, in order, from the cache if the same contents were read before.

    `index` counts the records of all files from 1; `left_out` in the metadata lists the records that were left out.

    Raises:
        FileNotFoundError: if there are no files.
        ValueError: if a file is cut off, or no record can be used.
    """
    files = sdf_files(path)
    table = cached_table(f"sdf-{files_digest(files)[:16]}", PROCESSING_VERSION, lambda: _build(files))
    left_out = [LeftOut(**record) for record in table.metadata["left_out"]]
    if left_out:
        _logger.warning("%s", summary(left_out, len(table) + len(left_out)))
    return table


def summary(left_out: list[LeftOut], total: int) -> str:
    """What was left out: numbers by reason (that of the first record; numbers in it may differ) and records by name."""
    kinds: dict[str, list[LeftOut]] = {}
    for record in left_out:
        kinds.setdefault(re.sub(r"\d+", "N", record.reason), []).append(record)
    lines = [f"{len(left_out)} of {total} records were left out:"]
    for records in sorted(kinds.values(), key=len, reverse=True):
        places = [f"{record.file} record {record.record}" for record in records[:_NAMED]]
        more = ", ..." if len(records) > _NAMED else ""
        lines.append(f"  {len(records)} x {records[0].reason} ({', '.join(places)}{more})")
    return "\n".join(lines)


def _build(files: list[Path]) -> MoleculeTable:
    molecules: list[MoleculeArrays] = []
    index: list[int] = []
    smiles: list[str] = []
    left_out: list[LeftOut] = []
    total = 0
    for file in files:
        for number, mol in enumerate(tqdm(read_molecules(file), f"Processing {file.name}", disable=None), 1):
            total += 1
            try:
                arrays, name = _read(mol)
            except ValueError as error:
                left_out.append(LeftOut(file.name, number, str(error)))
                continue
            molecules.append(arrays)
            index.append(total)
            smiles.append(name)
    if not molecules:
        raise ValueError(
            f"No molecule can be used; expected 3D coordinates and all hydrogens. {summary(left_out, total)}"
        )
    metadata = {"source": [file.name for file in files], "left_out": [asdict(record) for record in left_out]}
    return MoleculeTable.from_arrays(molecules, index, smiles=smiles, metadata=metadata)


def _read(mol: Chem.Mol | None) -> tuple[MoleculeArrays, str]:
    """Arrays and SMILES of one record; a ValueError says why there are none."""
    if mol is None:
        raise ValueError("RDKit cannot read it")
    with rdBase.BlockLogs():
        clean = sanitized(mol)
        if clean is None:
            problems = Chem.DetectChemistryProblems(mol)
            raise ValueError(f"RDKit rejects it: {problems[0].Message() if problems else 'sanitization fails'}")
        return from_mol(clean), canonical_smiles(clean)
