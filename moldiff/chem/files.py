"""Molecules in files: reading SDF, XYZ, .npz and SMILES; writing .sdf and .xyz so that nothing finished is lost."""

from __future__ import annotations

import os
import re
import sys
from array import array
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import numpy as np
from rdkit import Chem, rdBase
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.chem.bond_lengths import edm_bond_orders
from moldiff.chem.npz import read_npz
from moldiff.chem.packed import unpacked
from moldiff.chem.partial_file import FinishedRecords, copy_in_order, finished_records, lock, state, write_all
from moldiff.chem.smiles import mol_from_smiles

Bonds = Literal["rdkit", "edm"]
"""How bonds are found where a file has none: by `moldiff.chem.perception`, or by EDM's table of distances."""

READABLE = (".sdf", ".sdf.gz", ".xyz", ".npz", ".smi", ".smiles")
WITHOUT_BONDS = (".xyz", ".npz")
WRITABLE = (".sdf", ".xyz")
_SLOW = 1000  # from this number of molecules on, there is a progress bar
_WIDE = 9999.0  # Å; the columns of a V2000 record hold no larger coordinates
_COUNTED = 127  # the highest sum of the bond orders of an atom that RDKit can hold
_MOST = 999  # atoms, and bonds, of a record in the plain form of SDF
_FAR = 1e6  # Å; no molecule is so large


def read_molecules(path: str | os.PathLike[str], bonds: Bonds = "rdkit") -> list[Chem.Mol | None]:
    """All records of a file, in their order; None where RDKit cannot read a record, or it has no atoms.

    SDF records are taken as they are: not sanitized, hydrogens kept. XYZ files may hold many frames, whose comments are
    ignored; `moldiff.chem.npz` tells the layouts of .npz files. Both have no bonds: these are found by `bonds`; where
    that fails, the molecule has atoms and coordinates only. A .smi file has one SMILES at the start of each line; its
    molecules get all hydrogens, and no coordinates.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the ending is unknown, the file holds no molecule, or its last record is cut off.
    """
    path = Path(path)
    suffix = known_suffix(path, READABLE)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if suffix == ".npz":
        return _with_bonds(read_npz(path), bonds)
    text = read_text(path)
    if suffix == ".xyz":
        return _with_bonds(_read_xyz(path, text), bonds)
    return _read_sdf(path, text) if suffix.startswith(".sdf") else _read_smiles(path, text)


def read_molecule(path: str | os.PathLike[str]) -> Chem.Mol:
    """The only molecule of a file, as `read_molecules` gives it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or is not the only one.
    """
    mols = read_molecules(path)
    if len(mols) != 1 or mols[0] is None:
        got = "one that RDKit cannot read" if len(mols) == 1 else f"{len(mols)} molecules"
        raise ValueError(f"{os.fspath(path)}: got {got}; expected a single one with coordinates: write it to a file")
    return mols[0]


class MoleculeWriter:
    """Writes molecules one by one to NAME.partial.EXT and renames that file to NAME.EXT at the end: a context manager.

    Each molecule is on disk when `write` returns. If the program is killed, or an exception leaves the block, the
    partial file stays, and a further writer refuses to replace it, or goes on with it (`resume`). Records written with
    a `place` are put in the order of their places when the file is complete. Nothing is kept in memory but 16 bytes
    for each record.

    Args:
        path: the file, .sdf or .xyz by its ending.
        overwrite: replace the file, and a partial file, if they exist.
        resume: go on with what `moldiff sample` has written, the file or a partial one; `finished` tells what is there.
            What is added to a whole file goes to a partial one first, so the file stays until it is replaced by both.

    Raises:
        ValueError: if the ending is neither .sdf nor .xyz, or a partial file to go on with is of another kind.
        FileNotFoundError: if the folder does not exist.
        FileExistsError: if the file, or a partial file, exists and neither `overwrite` nor `resume` is for that.
        BlockingIOError: if another process is writing the partial file.
    """

    def __init__(self, path: str | os.PathLike[str], overwrite: bool = False, resume: bool = False) -> None:
        """Check that `path` can be written; nothing is created before the block is entered."""
        self.path = Path(path)
        self._format = known_suffix(self.path, WRITABLE)
        self.partial_path = self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}")
        self.finished = FinishedRecords(self.partial_path, array("q"), array("q"), frozenset(), 0)
        self._overwrite, self._resume = overwrite, resume
        self._file: IO[bytes] | None = None
        self._state: tuple[int, ...]  # of the file that is added to, when it was read
        self._forget()
        self._check()

    @property
    def count(self) -> int:
        """Number of records, with those that were there before."""
        return len(self._old.indices) + len(self._places)

    def __enter__(self) -> Self:
        """Open the partial file; if there is a whole one to add to, not before there is something to add."""
        self._forget()
        self._check()
        if not self._adds() or self.partial_path.exists():
            self._open()
        else:
            self._state, self._old = state(self.path), finished_records(self.path)
            self.finished = self._old
        self._entered = True
        return self

    def write(self, molecule: Chem.Mol | None, place: int | None = None) -> None:
        """Append one molecule, valid or not, with its properties (SDF only); None becomes a record without atoms.

        Raises:
            OSError: if it cannot be written, for want of room say; the records before it stay.
        """
        if not self._entered:
            raise ValueError(f"MoleculeWriter of {self.path} is not open; expected it to be used in a `with` block")
        file = self._file or self._open(anew=True)
        molecule = Chem.Mol() if molecule is None else molecule
        data = (_xyz_text(molecule) if self._format == ".xyz" else _sdf_text(molecule)).encode()
        write_all(file, data, self.partial_path)
        self._places.append(self.count if place is None else place)
        self._lengths.append(len(data))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Make the file of the partial one; after an exception that stays where it is, unless it is empty."""
        self._entered, file, self._file = False, self._file, None
        if file is None:  # nothing was added
            return
        try:
            if kind is None:
                os.fsync(file.fileno())
                ordered = self._ordered()
                if sys.platform == "win32":
                    file.close()  # files that are open cannot be renamed there, and there are no locks to keep
                ordered.replace(self.path)
            if kind is None or not self._places:
                self.partial_path.unlink(missing_ok=True)
        finally:
            file.close()

    def _forget(self) -> None:
        """As before the block."""
        self.finished = FinishedRecords(self.partial_path, array("q"), array("q"), frozenset(), 0)
        self._old = self.finished  # what is in the file itself, if that is added to
        self._state = ()
        self._places, self._lengths = array("q"), array("q")  # of each record that is not; the length is in bytes
        self._entered = False

    def _adds(self) -> bool:
        """Whether what is there to go on with is the file itself, with or without a partial one."""
        return self._resume and self.path.exists() and not (self._overwrite and self.partial_path.exists())

    def _open(self, anew: bool = False) -> IO[bytes]:
        """Open the partial file, with what is in it if that is to be gone on with; `anew`: there must be nothing."""
        file = self.partial_path.open("ab" if self._overwrite or self._resume else "xb", buffering=0)
        try:
            lock(file, self.partial_path)
            if anew and (state(self.path) != self._state or os.fstat(file.fileno()).st_size):
                raise BlockingIOError(f"{self.path} was written by another process meanwhile: run this again")
            if self._adds() and not anew:
                self._state, self._old = state(self.path), finished_records(self.path)
            if self._resume and not anew:
                more = finished_records(self.partial_path)
                if more.repeats(self._old):
                    self.finished = self._old
                else:
                    self.finished = self._old.followed_by(more)
                    self._places, self._lengths = more.indices[:], more.lengths[:]
            file.truncate(sum(self._lengths))
        except (OSError, ValueError):
            file.close()
            raise
        self._file = file
        return file

    def _ordered(self) -> Path:
        """A file with all records in the order of their places: the partial file, or a copy of it."""
        if not self._state and all(a <= b for a, b in pairwise(self._places)):
            return self.partial_path
        sources = [(self.partial_path, self._places, self._lengths)]
        if self._state:
            if state(self.path) != self._state:
                raise FileExistsError(f"{self.path} was written by another process meanwhile: move one of them away")
            sources.insert(0, (self.path, self._old.indices, self._old.lengths))
        ordered = self.partial_path.with_name(f"{self.path.stem}.ordered{self.path.suffix}")
        copy_in_order(sources, ordered)
        return ordered

    def _check(self) -> None:
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"{self.path.parent}: no such folder; create it before writing {self.path.name}")
        if self._overwrite or self._adds():
            return
        if self.path.exists():
            raise FileExistsError(f"{self.path} exists; choose another name, or replace it (--overwrite)")
        if self.partial_path.exists() and not self._resume:
            raise FileExistsError(
                f"{self.partial_path} exists: it holds the molecules of a run that was interrupted or still goes on; "
                "go on with it (--resume, if the command has that), move it away, or replace it (--overwrite)"
            )


def known_suffix(path: Path, known: tuple[str, ...]) -> str:
    """The ending of a file's name in lower case, such as ".sdf.gz".

    Raises:
        ValueError: if it is none of the known ones.
    """
    suffix = next((ending for ending in known if path.name.lower().endswith(ending)), None)
    if suffix is None:
        raise ValueError(f"{path}: got a name that ends in {path.suffix!r}; expected one of {', '.join(known)}")
    return suffix


def read_text(path: Path) -> str:
    """The text of a file, unpacked if it is a .gz, with plain line ends and without a byte order mark.

    Raises:
        ValueError: if it is not a whole gzip file, or holds zero bytes, as UTF-16 and most other kinds of files do.
    """
    data = unpacked(path) if path.name.lower().endswith(".gz") else path.read_bytes()
    if b"\0" in data:
        kind = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "zero bytes"
        raise ValueError(f"{path}: got {kind}; expected a text file (UTF-8): save it as one")
    return data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def _read_sdf(path: Path, text: str) -> list[Chem.Mol | None]:
    *records, tail = re.split(r"^\$\$\$\$.*(?:\n|\Z)", text, flags=re.MULTILINE)
    if tail.strip():
        if not tail.rstrip().endswith("M  END"):  # a single molfile is whole without the delimiter
            raise ValueError(
                f"{path}: record {len(records) + 1} ({tail.splitlines()[0].strip()[:80]!r}) is cut off; expected a "
                f"last line '$$$$'. {len(records)} whole records come before it: remove the rest, or write it again"
            )
        records.append(tail)
    if not records:
        raise ValueError(f"{path}: got an empty file; expected at least one molecule")
    return [sdf_record(record) for record in tqdm(records, "reading", disable=None if len(records) > _SLOW else True)]


def sdf_record(record: str) -> Chem.Mol | None:
    """The molecule of one record of an SDF, without its last line; None if RDKit cannot read it."""
    supplier = Chem.SDMolSupplier()
    with rdBase.BlockLogs():
        supplier.SetData(record.rstrip("\n") + "\n\n$$$$\n", sanitize=False, removeHs=False)
        mol = supplier[0] if len(supplier) else None
    return mol if mol is not None and mol.GetNumAtoms() else None


def _read_smiles(path: Path, text: str) -> list[Chem.Mol | None]:
    smiles = [line.split()[0] for line in text.splitlines() if line.strip()]
    if not smiles:
        raise ValueError(f"{path}: got an empty file; expected at least one SMILES")
    return [mol_from_smiles(one) for one in smiles]


def _with_bonds(molecules: Sequence[MoleculeArrays | None], bonds: Bonds) -> list[Chem.Mol | None]:
    bar = tqdm(molecules, "finding bonds", disable=None if len(molecules) > _SLOW else True)
    if bonds == "rdkit":
        return [None if m is None else to_mol(m) for m in bar]
    orders = (None if m is None else edm_bond_orders(m.atomic_numbers, m.positions) for m in molecules)
    return [None if m is None else to_mol(replace(m, bond_orders=o)) for m, o in zip(bar, orders, strict=True)]


def _read_xyz(path: Path, text: str) -> list[MoleculeArrays | None]:
    lines = text.rstrip().split("\n")
    frames: list[MoleculeArrays | None] = []
    start = 0
    while start < len(lines):
        if not lines[start].strip():  # a blank line between frames
            start += 1
            continue
        name = f"{path}: frame {len(frames) + 1}"
        frames.append(_xyz_frame(name, lines, start, _xyz_count(name, lines, start)))
        start += 2 + int(lines[start])
    if not frames:
        raise ValueError(f"{path}: got an empty file; expected at least one molecule")
    return frames


def _xyz_count(name: str, lines: list[str], start: int) -> int:
    word = lines[start].strip()
    if not word.isdecimal() or len(word) > 15:
        raise ValueError(f"{name} (line {start + 1}): got {word[:80]!r}; expected the number of atoms")
    return int(word)


def _xyz_frame(name: str, lines: list[str], start: int, num_atoms: int) -> MoleculeArrays | None:
    atoms = [line.split() for line in lines[start + 2 : start + 2 + num_atoms]]
    if len(atoms) < num_atoms:
        raise ValueError(f"{name} is cut off: got {len(atoms)} of {num_atoms} atoms; copy the file again")
    if num_atoms == 0:
        return None
    numbers, positions = [], []
    for k, fields in enumerate(atoms):
        try:
            numbers.append(_atomic_number(fields[0]))
            positions.append([_coordinate(word) for word in (fields[1], fields[2], fields[3])])
        except (IndexError, ValueError, RuntimeError) as error:
            line = start + 3 + k
            raise ValueError(
                f"{name} (line {line}): got {' '.join(fields)[:80]!r}; expected an element and x y z in Å"
            ) from error
    charges = np.zeros(num_atoms, dtype=np.int64)
    return MoleculeArrays(np.array(numbers, dtype=np.int64), np.array(positions, dtype=np.float64), charges)


def _coordinate(word: str) -> float:
    if not abs(value := float(word)) < _FAR:
        raise ValueError(f"a coordinate of {word} Å")
    return value


def _atomic_number(element: str) -> int:
    with rdBase.BlockLogs():
        number = int(element) if element.isdecimal() else Chem.GetPeriodicTable().GetAtomicNumber(element.capitalize())
    if not 1 <= number <= 118:
        raise ValueError(f"unknown element {element!r}")
    return number


def _sdf_text(molecule: Chem.Mol) -> str:
    molecule = _with_safe_texts(molecule)
    conformers = molecule.GetConformers()
    wide = any(bool((np.abs(conformer.GetPositions()) > _WIDE).any()) for conformer in conformers)
    wide = wide or max(molecule.GetNumAtoms(), molecule.GetNumBonds()) > _MOST
    if wide and molecule.NeedsUpdatePropertyCache():  # that form of the format asks for valences
        molecule = Chem.Mol(molecule)
        molecule.UpdatePropertyCache(strict=False)
    with rdBase.BlockLogs():
        try:
            return str(Chem.SDWriter.GetText(molecule, kekulize=True, force_v3000=wide))
        except Chem.KekulizeException:
            return str(Chem.SDWriter.GetText(molecule, kekulize=False, force_v3000=wide))
        except RuntimeError:
            if all(sum(b.GetBondTypeAsDouble() for b in atom.GetBonds()) <= _COUNTED for atom in molecule.GetAtoms()):
                raise
            molecule = Chem.RWMol(molecule)
            molecule.BeginBatchEdit()
            for bond in molecule.GetBonds():
                molecule.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
            molecule.CommitBatchEdit()
            molecule.UpdatePropertyCache(strict=False)
            return str(Chem.SDWriter.GetText(molecule, force_v3000=wide))


def _with_safe_texts(molecule: Chem.Mol) -> Chem.Mol:
    """The molecule, or a copy whose title is one line, and whose properties have no line that ends them or a record."""
    properties = molecule.GetPropsAsDict(autoConvertStrings=False)  # "007" is a text
    texts = {name: value for name, value in properties.items() if isinstance(value, str)}
    if molecule.HasProp("_Name"):
        texts["_Name"] = molecule.GetProp("_Name")
    broken = {
        name: text
        for name, text in texts.items()
        if text.startswith("$$$$") or any(t.splitlines() != [t] for t in (name, text) if t)
    }
    if not broken:
        return molecule
    copy = Chem.Mol(molecule)
    for name, text in broken.items():
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("$$$$", ">"))]
        copy.ClearProp(name)
        copy.SetProp(" ".join(name.split()), (" " if name == "_Name" else "\n").join(lines))
    return copy


def _xyz_text(molecule: Chem.Mol) -> str:
    if molecule.GetNumAtoms() and not molecule.GetNumConformers():
        raise ValueError("Got a molecule without coordinates; expected a conformer to write as XYZ")
    title = molecule.GetProp("_Name") if molecule.HasProp("_Name") else ""
    values = molecule.GetPropsAsDict(autoConvertStrings=False)
    properties = [f"{key}={value}" for key, value in values.items() if key.startswith("moldiff_")]
    lines = [str(molecule.GetNumAtoms()), " ".join([*title.split(), *properties])]
    if molecule.GetNumAtoms():
        for atom, (x, y, z) in zip(molecule.GetAtoms(), molecule.GetConformer().GetPositions().tolist(), strict=True):
            lines.append(f"{atom.GetSymbol():<2} {x:14.8f} {y:14.8f} {z:14.8f}")
    return "\n".join(lines) + "\n"
