"""Any user's SDF files as a table: what is in them is found out, what cannot be used is named."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Mapping
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
        ValueError: if the file is of another kind.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}; give an .sdf or .sdf.gz file, or a folder of them")
    if path.is_file() and not path.name.lower().endswith(_SUFFIXES):
        raise ValueError(f"{path}: expected an .sdf or .sdf.gz file, which has bonds: they would have to be guessed")
    files = sorted(p for p in path.iterdir() if p.name.lower().endswith(_SUFFIXES)) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"The folder {path} holds no .sdf or .sdf.gz file; give one that does")
    return files


def files_digest(files: list[Path]) -> str:
    """SHA-256 of the names and contents of files, by which the cache knows them."""
    return hashlib.sha256("".join(f"{file.name} {file_checksum(file)};" for file in files).encode()).hexdigest()


def sdf_table(path: str | Path, properties: Mapping[str, str] | None = None) -> MoleculeTable:
    """All usable molecules of a file or folder, in order, from the cache if the same contents were read before.

    `index` counts the records of all files from 1; `left_out` in the metadata lists the records that were left out.

    Args:
        path: file or folder.
        properties: names of data fields that hold numbers, with their units. Where a record has no number, the property
            is unknown: NaN. Contents of fields that are no numbers are counted and named in a warning.

    Raises:
        FileNotFoundError: if there are no files.
        ValueError: if a file is cut off or of another kind, no record can be used, or none has a number for a property.
    """
    files, units = sdf_files(path), dict(properties or {})
    digest = files_digest(files)
    if units:
        digest = hashlib.sha256(f"{digest} {json.dumps(units)}".encode()).hexdigest()
    table = cached_table(f"sdf-{digest[:16]}", PROCESSING_VERSION, lambda: _build(files, units))
    left_out = [LeftOut(**record) for record in table.metadata["left_out"]]
    if left_out:
        _logger.warning("%s", summary(left_out, len(table) + len(left_out)))
    for name, (count, example) in table.metadata.get("no_numbers", {}).items():
        _logger.warning("%d values of %s are no numbers, and were taken as unknown, such as %s", count, name, example)
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


def _build(files: list[Path], units: Mapping[str, str]) -> MoleculeTable:
    molecules: list[MoleculeArrays] = []
    index: list[int] = []
    smiles: list[str] = []
    left_out: list[LeftOut] = []
    numbers = _Numbers(units)
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
            numbers.add({} if mol is None else mol.GetPropsAsDict(autoConvertStrings=False), file.name, number)
    if not molecules:
        raise ValueError(
            f"No molecule can be used; expected 3D coordinates and all hydrogens. {summary(left_out, total)}"
        )
    metadata = {"source": [file.name for file in files], "left_out": [asdict(record) for record in left_out]}
    return MoleculeTable.from_arrays(
        molecules, index, numbers.known(), smiles=smiles, metadata=metadata | numbers.metadata()
    )


class _Numbers:
    """Values of data fields, gathered record by record."""

    def __init__(self, units: Mapping[str, str]) -> None:
        self.units = dict(units)
        self.values: dict[str, list[float]] = {field: [] for field in units}
        self.wrong: dict[str, tuple[int, str]] = {}  # contents that are no numbers: how many, and the first
        self.fields: set[str] = set()  # all that were seen

    def add(self, record: Mapping[str, object], file: str, number: int) -> None:
        self.fields.update(record)
        for field, column in self.values.items():
            text = str(record.get(field, "")).strip()
            column.append(_number(text))
            if text and math.isnan(column[-1]):
                count, first = self.wrong.get(field, (0, f"{text!r} ({file} record {number})"))
                self.wrong[field] = (count + 1, first)

    def known(self) -> dict[str, list[float]]:
        """Values of each property, at least one of which is known."""
        for field, column in self.values.items():
            if all(map(math.isnan, column)):
                got = f"values such as {self.wrong[field][1]}" if field in self.wrong else "none"
                fields = ", ".join(sorted(self.fields)) or "(none)"
                raise ValueError(f"Expected numbers in the data field {field!r}: got {got}; the fields are {fields}")
        return self.values

    def metadata(self) -> dict[str, dict[str, object]]:
        return {"units": dict(self.units), "no_numbers": dict(self.wrong)} if self.units else {}


def _number(text: str) -> float:
    """A finite number; NaN if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


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
