"""All scores of a set of molecules in one report that can be printed, or written as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rdkit import Chem
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.metrics.edm import EDMScores, edm_verdict
from moldiff.metrics.reference import Reference, load_reference
from moldiff.metrics.share import Share, requested_count
from moldiff.metrics.strict import Cause, StrictScores, strict_verdict
from moldiff.metrics.table import report_table

_SLOW = 1000  # from this number of molecules on, there is a progress bar


@dataclass(frozen=True)
class Sizes:
    """Mean sizes of the molecules that exist, valid or not; NaN if there are none."""

    num_molecules: int
    mean_atoms: float
    mean_heavy_atoms: float

    @classmethod
    def of(cls, atoms: Sequence[int], heavy_atoms: Sequence[int]) -> Sizes:
        """Of the numbers of atoms and of heavy atoms of each molecule."""
        n = len(atoms)
        return cls(n, sum(atoms) / n, sum(heavy_atoms) / n) if n else cls(0, math.nan, math.nan)


@dataclass(frozen=True)
class Report:
    """The scores of a set of molecules. A share is of all requested molecules unless its `of` says otherwise."""

    requested: int  # molecules that were asked for
    edm: EDMScores
    strict: StrictScores
    sizes: Sizes
    reference: str | None = None  # what novelty is judged by
    notes: tuple[str, ...] = ()  # what a reader must know about these figures

    def with_note(self, note: str) -> Report:
        """The same report with one more note."""
        return replace(self, notes=(*self.notes, note))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the JSON file: shares with counts and 95 % intervals; None for a share of nothing."""
        return {
            "requested": self.requested,
            "reference": self.reference,
            "edm": _plain(self.edm),
            "strict": _plain(self.strict),
            "sizes": _plain(self.sizes),
            "notes": list(self.notes),
        }

    def write_json(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write `to_dict` as JSON, in one step.

        Raises:
            FileExistsError: if the file exists and `overwrite` is False.
            FileNotFoundError: if its folder does not exist.
        """
        path = Path(path)
        check_output(path, overwrite)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(path)

    def __str__(self) -> str:
        """A table: share, 95 % interval, and the count that it comes from."""
        return report_table(self)


def evaluate(
    molecules: Sequence[Chem.Mol | MoleculeArrays | None],
    reference: str | Reference | None = "qm9",
    requested: int | None = None,
) -> Report:
    """Score molecules by EDM's rule and by the strict rule. A molecule that failed stays in the denominator as None.

    Args:
        molecules: with explicit hydrogens and coordinates, sanitized or not; they are not changed. The strict rule
            takes the bonds that a molecule carries; those of `MoleculeArrays` without bonds are perceived.
        reference: what novelty is judged by: "qm9", a .sdf, .xyz or .smi file, a `Reference`, or None.
        requested: number of molecules that were asked for, if it is more than there are in `molecules`.

    Raises:
        ValueError: if there are no molecules, more than `requested`, or the reference is unknown.
        TypeError: if an entry is not a molecule.
    """
    total = requested_count(len(molecules), requested)
    if isinstance(reference, str | os.PathLike):
        reference = load_reference(os.fspath(reference))
    edm_verdicts, strict_verdicts, atoms, heavy_atoms = [], [], [], []
    without_hydrogen = without_coordinates = 0
    for mol in tqdm(_as_mols(molecules), "scoring", len(molecules), disable=None if len(molecules) > _SLOW else True):
        edm_verdicts.append(edm_verdict(mol))
        strict_verdicts.append(strict_verdict(mol))
        if mol is not None and mol.GetNumAtoms():
            atoms.append(mol.GetNumAtoms())
            heavy_atoms.append(mol.GetNumHeavyAtoms())
            without_hydrogen += atoms[-1] == heavy_atoms[-1] and strict_verdicts[-1].cause is Cause.RADICAL
            without_coordinates += mol.GetNumConformers() == 0
    notes = _reference_notes(reference)
    if without_hydrogen:
        notes += [
            f"{without_hydrogen:,} molecules lack all hydrogens, which both rules expect as atoms with coordinates"
        ]
    if without_coordinates:
        notes += [f"{without_coordinates:,} molecules have no coordinates, which EDM's rule counts as failed"]
    return Report(
        requested=total,
        edm=EDMScores.of(edm_verdicts, reference.edm_smiles if reference else None, total),
        strict=StrictScores.of(strict_verdicts, reference.smiles if reference else None, total),
        sizes=Sizes.of(atoms, heavy_atoms),
        reference=reference.name if reference else None,
        notes=tuple(notes),
    )


def check_output(path: Path, overwrite: bool) -> None:
    """Whether a file may be written, before the work is done.

    Raises:
        FileExistsError: if the file exists and `overwrite` is False.
        FileNotFoundError: if its folder does not exist.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder; create it before writing {path.name}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name, or allow it to be overwritten")


def _as_mols(molecules: Sequence[Chem.Mol | MoleculeArrays | None]) -> Iterator[Chem.Mol | None]:
    for k, molecule in enumerate(molecules):
        if isinstance(molecule, MoleculeArrays):
            yield to_mol(molecule)
        elif molecule is None or isinstance(molecule, Chem.Mol):
            yield molecule
        else:
            raise TypeError(
                f"Molecule {k}: got {type(molecule).__name__}; expected an RDKit Mol, MoleculeArrays, or None"
            )


def _reference_notes(reference: Reference | None) -> list[str]:
    notes = []
    if reference is not None and reference.skipped:
        notes.append(
            f"{reference.skipped:,} of {reference.num_molecules:,} molecules of {reference.name} are unreadable"
        )
    if reference is not None and (drift := reference.drift()) > 0:
        notes.append(
            f"novelty is too high: this RDKit writes {100 * drift:.0f} % of the SMILES of {reference.name} differently "
            f"than RDKit {reference.rdkit_version}, which its hashes come from"
        )
    return notes


def _plain(value: Any) -> Any:
    if isinstance(value, Share):
        number = value.value if value.total else None
        return {
            "value": number,
            "count": value.count,
            "total": value.total,
            "of": value.of,
            "interval": [*value.interval],
        }
    if isinstance(value, EDMScores | StrictScores | Sizes):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
