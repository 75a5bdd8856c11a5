"""The 20 standard amino acids: their heavy atoms, other names for them and their atoms, and classes of both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import gemmi
import numpy as np
from numpy.typing import NDArray

BACKBONE = ("N", "CA", "C", "O")
_SIDE_CHAINS = {
    "ALA": "CB",
    "ARG": "CB CG CD NE CZ NH1 NH2",
    "ASN": "CB CG OD1 ND2",
    "ASP": "CB CG OD1 OD2",
    "CYS": "CB SG",
    "GLN": "CB CG CD OE1 NE2",
    "GLU": "CB CG CD OE1 OE2",
    "GLY": "",
    "HIS": "CB CG ND1 CD2 CE1 NE2",
    "ILE": "CB CG1 CG2 CD1",
    "LEU": "CB CG CD1 CD2",
    "LYS": "CB CG CD CE NZ",
    "MET": "CB CG SD CE",
    "PHE": "CB CG CD1 CD2 CE1 CE2 CZ",
    "PRO": "CB CG CD",
    "SER": "CB OG",
    "THR": "CB OG1 CG2",
    "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
    "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH",
    "VAL": "CB CG1 CG2",
}
RESIDUES = tuple(_SIDE_CHAINS)
"""Names of the 20 residues; the class of a residue is its place here, that of any other residue is 20."""

RESIDUE_ATOMS = {name: (*BACKBONE, *atoms.split(), "OXT") for name, atoms in _SIDE_CHAINS.items()}
"""Residue -> names of its heavy atoms as in the PDB's chemical component dictionary; OXT ends a chain."""

UNKNOWN_RESIDUE = "UNK"
NUM_RESIDUE_CLASSES = len(RESIDUES) + 1

ATOM_CLASSES = (
    *((residue, atom) for residue, atoms in RESIDUE_ATOMS.items() for atom in atoms if atom != "OXT"),
    ("", "OXT"),
    *(("", element) for element in ("C", "N", "O", "S", "P", "")),
)
"""Residue and atom name of each class of atoms: 167 pairs, OXT of any residue, and the other atoms by element."""

NUM_ATOM_CLASSES = len(ATOM_CLASSES)
_ATOM_CLASS = {pair: place for place, pair in enumerate(ATOM_CLASSES)}
_OTHER = {number: _ATOM_CLASS["", element] for number, element in ((6, "C"), (7, "N"), (8, "O"), (16, "S"), (15, "P"))}

# Names of protonation states and of disulphides in the files of simulation programs.
_OTHER_RESIDUE_NAMES = {
    **dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP"), "HIS"),
    **dict.fromkeys(("CYX", "CYM", "SEC"), "CYS"),
    "ASH": "ASP",
    "GLH": "GLU",
    "LYN": "LYS",
    "ARN": "ARG",
    "TYM": "TYR",
    "PYL": "LYS",
}
_OTHER_ATOM_NAMES = {("ILE", "CD"): "CD1", ("MET", "SE"): "SD", ("CYS", "SE"): "SG"}
_OTHER_END_NAMES = {"OT1": "O", "OC1": "O", "OT2": "OXT", "OC2": "OXT"}
_ELEMENTS = {"C": 6, "N": 7, "O": 8, "S": 16}


@cache
def standard_residue(name: str) -> str | None:
    """The standard residue that a residue is, or is made from (MSE: MET, SEP: SER, HID: HIS); None if no amino acid.

    An amino acid without a standard parent is "UNK".
    """
    name = _OTHER_RESIDUE_NAMES.get(name, name)
    if name in RESIDUE_ATOMS:
        return name
    known = gemmi.find_tabulated_residue(name)
    if not known.is_amino_acid():
        return None
    parents = gemmi.expand_one_letter_sequence(known.one_letter_code.upper(), gemmi.ResidueKind.AA)
    return parents[0] if parents[0] in RESIDUE_ATOMS else UNKNOWN_RESIDUE


def standard_atom(residue: str, name: str) -> tuple[str, int] | None:
    """Standard name and atomic number of an atom of a standard residue; None if the residue has no such heavy atom."""
    name = _OTHER_ATOM_NAMES.get((residue, name), _OTHER_END_NAMES.get(name, name))
    return (name, _ELEMENTS[name[0]]) if name in RESIDUE_ATOMS[residue] else None


def class_atomic_numbers() -> tuple[int, ...]:
    """Atomic number of each of `ATOM_CLASSES`; 0 for other elements."""
    return tuple({"P": 15, "": 0, **_ELEMENTS}[name[:1]] for _, name in ATOM_CLASSES)


def atom_class(residue: str, name: str, atomic_number: int) -> int:
    """Place of an atom in `ATOM_CLASSES`."""
    if name == "OXT":
        return _ATOM_CLASS["", "OXT"]
    return _ATOM_CLASS.get((residue, name), _OTHER.get(atomic_number, NUM_ATOM_CLASSES - 1))


def residue_classes(names: Sequence[str] | NDArray[np.str_]) -> NDArray[np.int64]:
    """Classes (R,) of R residues by their names: the place in `RESIDUES`, 20 for any other."""
    places = {name: place for place, name in enumerate(RESIDUES)}
    return np.array([places.get(str(name), len(RESIDUES)) for name in names], dtype=np.int64)
