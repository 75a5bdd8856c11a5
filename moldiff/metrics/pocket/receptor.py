"""A protein as AutoDock Vina reads it: PDBQT text with AutoDock's atom types.

Vina's score knows of a receptor atom only its element, whether it is bonded to a hetero atom, and whether it accepts or
donates a hydrogen bond (Trott & Olson 2010; Eberhardt et al. 2021). Charges do not enter, and a hydrogen does no more
than mark the atom that it is bonded to as donor. So the twenty amino acids are typed by the names of their atoms, and
each donor gets one hydrogen, 1 Å away, opposite to its bonded neighbours. Incomplete residues and cut chains need no
special care, as the types do not depend on what is missing. Residues are charged as at pH 7 (Asp, Glu, Lys, Arg); His
is neutral with its hydrogen at NE2, as HIE, unless it is named HID or HIP. Other residues are typed by element, and
their atoms donate nothing; metals do.

Scores are those of receptors prepared by meeko to all three decimals: for the reference ligands in 84 of the 100 test
pockets of CrossDocked2020; in the other 16 meeko drops incomplete residues, which are kept here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from moldiff.metrics.pocket.protein import Protein

_DONORS: dict[str, frozenset[str]] = {
    "ARG": frozenset({"NE", "NH1", "NH2"}),
    "ASN": frozenset({"ND2"}),
    "ASH": frozenset({"OD2"}),
    "GLH": frozenset({"OE2"}),
    "GLN": frozenset({"NE2"}),
    "HIS": frozenset({"NE2"}),
    "HIE": frozenset({"NE2"}),
    "HID": frozenset({"ND1"}),
    "HIP": frozenset({"ND1", "NE2"}),
    "LYS": frozenset({"NZ"}),
    "SER": frozenset({"OG"}),
    "THR": frozenset({"OG1"}),
    "TRP": frozenset({"NE1"}),
    "TYR": frozenset({"OH"}),
}
"""Side-chain atoms with a hydrogen, by residue; the nitrogen of the backbone has one in all but proline."""

AMINO_ACIDS = frozenset(_DONORS) | frozenset(
    {"ALA", "ASP", "CYS", "CYX", "GLU", "GLY", "ILE", "LEU", "MET", "PHE", "PRO", "VAL"}
)
"""Residues whose atoms are known by name."""

_AROMATIC: dict[str, frozenset[str]] = {
    "PHE": frozenset({"CG", "CD1", "CD2", "CE1", "CE2", "CZ"}),
    "TYR": frozenset({"CG", "CD1", "CD2", "CE1", "CE2", "CZ"}),
    "TRP": frozenset({"CG", "CD1", "CD2", "CE2", "CE3", "CZ2", "CZ3", "CH2"}),
    **{name: frozenset({"CG", "CD2", "CE1"}) for name in ("HIS", "HID", "HIE", "HIP")},
}
_BY_ELEMENT = {6: "C", 7: "N", 8: "OA", 16: "SA", 15: "P", 9: "F", 17: "Cl", 35: "Br", 53: "I"}
_METALS = {12: "Mg", 20: "Ca", 25: "Mn", 26: "Fe", 30: "Zn"}
_BOND = 2.0  # Å; heavy atoms of one residue or of neighbours in the chain that are closer are bonded (S-S: 2.05)


def is_donor(residue_name: str, atom_name: str) -> bool:
    """Whether an atom of an amino acid has a hydrogen to donate."""
    if atom_name == "N":
        return residue_name in AMINO_ACIDS and residue_name != "PRO"
    return atom_name in _DONORS.get(residue_name, ())


def autodock_type(residue_name: str, atom_name: str, element: int) -> str | None:
    """AutoDock's type of a heavy atom; None if AutoDock has no type for the element."""
    if element == 6:
        return "A" if atom_name in _AROMATIC.get(residue_name, ()) else "C"
    if element == 7 and atom_name in ("ND1", "NE2") and residue_name in ("HIS", "HID", "HIE", "HIP"):
        return "N" if is_donor(residue_name, atom_name) else "NA"
    if element == 7 and residue_name not in AMINO_ACIDS:
        return "NA"
    return _BY_ELEMENT.get(element) or _METALS.get(element)


def receptor_pdbqt(protein: Protein) -> str:
    """The rigid receptor as PDBQT text; atoms of elements without AutoDock type are left out."""
    lines: list[str] = []
    tree = cKDTree(protein.positions)
    for k, (name, residue) in enumerate(zip(protein.atom_names, protein.residue_names, strict=True)):
        kind = autodock_type(residue, name, int(protein.elements[k]))
        if kind is None:
            continue
        lines.append(_line(len(lines) + 1, name, protein, k, protein.positions[k], kind))
        if is_donor(residue, name):
            lines.append(_line(len(lines) + 1, "H", protein, k, _hydrogen(protein.positions, k, tree), "HD"))
    return "\n".join([*lines, "TER", "END", ""])


def _hydrogen(positions: NDArray[np.float64], atom: int, tree: cKDTree) -> NDArray[np.float64]:
    """A place 1 Å from an atom, opposite to the mean direction of its bonded neighbours; (3,) in Å."""
    bonded = [k for k in tree.query_ball_point(positions[atom], _BOND) if k != atom]
    directions = positions[atom] - positions[bonded]
    away = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).sum(axis=0)
    length = float(np.linalg.norm(away))
    direction = away / length if length > 1e-3 else np.array([1.0, 0.0, 0.0])
    return np.asarray(positions[atom] + direction)


def _line(serial: int, name: str, protein: Protein, atom: int, position: NDArray[np.float64], kind: str) -> str:
    info = protein.mol.GetAtomWithIdx(atom).GetPDBResidueInfo()
    x, y, z = position.tolist()
    padded = name if len(name) == 4 else f" {name:<3}"
    residue = f"{info.GetResidueName().strip()[:3]:>3} {info.GetChainId()[:1] or ' '}{info.GetResidueNumber():>4}"
    place = f"{info.GetInsertionCode()[:1] or ' '}   {x:8.3f}{y:8.3f}{z:8.3f}"
    return f"ATOM  {serial % 100000:>5} {padded} {residue}{place}  1.00  0.00     0.000 {kind:<2}"
