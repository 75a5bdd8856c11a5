"""Which residues a molecule interacts with, and how: a fingerprint from the geometry of the heavy atoms.

An interaction is a pair (residue, kind). The kinds, seen from the molecule, with limits as in PLIP (Salentin et al.
2015) and ProLIF (Bouysset & Fiorucci 2021) where those do not need hydrogens:

- donor: an N or O of the molecule that carries hydrogen, and an acceptor of the residue, within 3.5 Å;
- acceptor: an N or O of the molecule with a free lone pair, and a donor of the residue, within 3.5 Å;
- hydrophobic: carbon without hetero-atom neighbours, S, Cl, Br or I on both sides, within 4.0 Å;
- cation: a basic N of the molecule, and a carboxylate oxygen of Asp or Glu, within 4.5 Å;
- anion: an oxygen of an acid of the molecule, and a charged N of Lys or Arg, within 4.5 Å;
- aromatic: centres of aromatic rings within 5.5 Å and planes within 30° (stacked), or within 6.5 Å and at 50° or more
  (edge to face).

No angle of a hydrogen bond is looked at, since the hydrogens of the pocket are not known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from moldiff.metrics.pocket.protein import Protein
from moldiff.metrics.pocket.receptor import is_donor

_DONOR = "[#7,#8;!H0]"
_ACCEPTOR = (
    "[$([O;H1,H0;v2]),$([O-]),$([n;H0;X2;+0]),$([N;v3;X1,X2;+0]),$([N;v3;X3;!$(N-*=[!#6]);!$(N-C=[O,N,S]);!$(N-a);+0])]"
)
_HYDROPHOBIC = "[$([#6;!$([#6]~[#7,#8,#9,#15])]),$([#16;X2]),Cl,Br,I]"
_CATION = (
    "[$([N;+]),$([n;+]),$([N;X3;H0,H1,H2;v3;!$(N~[!#6;!#1]);!$(N-[*]=[*]);!$(N-[*]#[*]);!$(N-a)]),"
    "$(N=C([#7])[#7,#6]),$(N-C(=N)[#7,#6])]"
)
_ANION = "[$([O;H1,-]-C=O),$(O=C-[O;H1,-]),$([O;H1,-]-[P,S]=O),$(O=[P,S]-[O;H1,-])]"
_PATTERNS = {name: Chem.MolFromSmarts(smarts) for name, smarts in zip(
    ("donor", "acceptor", "hydrophobic", "cation", "anion"), (_DONOR, _ACCEPTOR, _HYDROPHOBIC, _CATION, _ANION),
    strict=True,
)}  # fmt: skip
_LIMITS = {"donor": 3.5, "acceptor": 3.5, "hydrophobic": 4.0, "cation": 4.5, "anion": 4.5}  # Å
_ACIDS = {"ASP": {"OD1", "OD2"}, "GLU": {"OE1", "OE2"}}
_BASES = {"LYS": {"NZ"}, "ARG": {"NE", "NH1", "NH2"}, "HIP": {"ND1", "NE2"}}
_RINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "PHE": (("CG", "CD1", "CD2", "CE1", "CE2", "CZ"),),
    "TYR": (("CG", "CD1", "CD2", "CE1", "CE2", "CZ"),),
    "TRP": (("CG", "CD1", "CD2", "NE1", "CE2"), ("CD2", "CE2", "CE3", "CZ2", "CZ3", "CH2")),
    **dict.fromkeys(("HIS", "HID", "HIE", "HIP"), (("CG", "ND1", "CD2", "CE1", "NE2"),)),
}
_POLAR_CARBONS = {  # bonded to nitrogen or oxygen, besides C and CA
    "SER": {"CB"}, "THR": {"CB"}, "TYR": {"CZ"}, "ASN": {"CG"}, "ASP": {"CG"}, "GLN": {"CD"}, "GLU": {"CD"},
    "LYS": {"CE"}, "ARG": {"CD", "CZ"}, "TRP": {"CD1", "CE2"}, "PRO": {"CD"},
    **{name: {"CG", "CD2", "CE1"} for name in ("HIS", "HID", "HIE", "HIP")},
}  # fmt: skip


@dataclass(frozen=True)
class Interactions:
    """The fingerprint of a molecule in a pocket."""

    pairs: frozenset[tuple[str, str]]  # (residue, kind), such as ("A:ASP57", "cation")

    def similarity(self, other: Interactions) -> float:
        """Tanimoto similarity: pairs in both, of pairs in either; 1 if neither has any."""
        either = len(self.pairs | other.pairs)
        return len(self.pairs & other.pairs) / either if either else 1.0


def interactions(mol: Chem.Mol, protein: Protein) -> Interactions:
    """Find the interactions of a molecule with the amino acids of a pocket.

    Args:
        mol: sanitized, with coordinates in Å in the frame of the protein; hydrogens may be implicit. Acids and bases
            are known by their groups, whether they are drawn charged or neutral.
        protein: read by `read_protein`.
    """
    heavy = Chem.RemoveHs(mol)
    positions = heavy.GetConformer().GetPositions()
    near = protein.near(positions, 8.0)
    labels = [_label(residue, name) for residue, name in zip(near.residues, near.residue_names, strict=True)]
    masks = _protein_masks(near)
    pairs: set[tuple[str, str]] = set()
    for kind, pattern in _PATTERNS.items():
        atoms = [match[0] for match in heavy.GetSubstructMatches(pattern, maxMatches=10_000)]
        partners = np.flatnonzero(masks[kind])
        distance = np.linalg.norm(positions[atoms][:, None] - near.positions[partners], axis=-1)
        close = partners[(distance <= _LIMITS[kind]).any(axis=0)] if atoms else partners[:0]
        pairs |= {(labels[k], kind) for k in close.tolist()}
    for label in _stacked(heavy, positions, near, labels):
        pairs.add((label, "aromatic"))
    return Interactions(frozenset(pairs))


def _protein_masks(protein: Protein) -> dict[str, NDArray[np.bool_]]:
    """Which atoms of the protein answer to each kind of atom of the molecule, (A,) each."""
    atoms = list(zip(protein.residue_names, protein.atom_names, protein.elements.tolist(), strict=True))
    partners = {
        "donor": [
            z == 8 or (z == 7 and name in ("ND1", "NE2") and _is_histidine(res) and not is_donor(res, name))
            for res, name, z in atoms
        ],
        "acceptor": [z in (7, 8) and is_donor(res, name) for res, name, z in atoms],
        "hydrophobic": [
            z == 16 or (z == 6 and name not in ("C", "CA") and name not in _POLAR_CARBONS.get(res, ()))
            for res, name, z in atoms
        ],
        "cation": [name in _ACIDS.get(res, ()) for res, name, _ in atoms],
        "anion": [name in _BASES.get(res, ()) for res, name, _ in atoms],
    }
    return {kind: np.array(mask, dtype=bool) for kind, mask in partners.items()}


def _is_histidine(residue_name: str) -> bool:
    return residue_name in ("HIS", "HID", "HIE", "HIP")


def _stacked(mol: Chem.Mol, positions: NDArray[np.float64], protein: Protein, labels: list[str]) -> set[str]:
    """Labels of the residues whose aromatic rings are stacked on, or edge to face with, one of the molecule."""
    rings = [ring for ring in mol.GetRingInfo().AtomRings() if all(mol.GetAtomWithIdx(k).GetIsAromatic() for k in ring)]
    own = [_plane(positions[list(ring)]) for ring in rings]
    found: set[str] = set()
    by_residue: dict[str, dict[str, int]] = {}
    names: dict[str, str] = {}
    for k, (label, residue, atom) in enumerate(zip(labels, protein.residue_names, protein.atom_names, strict=True)):
        by_residue.setdefault(label, {})[atom] = k
        names[label] = residue
    for label, atoms in by_residue.items():
        for ring_names in _RINGS.get(names[label], ()):
            if not all(name in atoms for name in ring_names):
                continue
            centre, normal = _plane(protein.positions[[atoms[name] for name in ring_names]])
            for other_centre, other_normal in own:
                distance = float(np.linalg.norm(centre - other_centre))
                angle = float(np.degrees(np.arccos(min(1.0, abs(float(normal @ other_normal))))))
                if (distance <= 5.5 and angle <= 30.0) or (distance <= 6.5 and angle >= 50.0):
                    found.add(label)
    return found


def _plane(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and unit normal of the best plane through points (N, 3)."""
    centre = points.mean(axis=0)
    return centre, np.linalg.svd(points - centre)[2][2]


def _label(residue: str, name: str) -> str:
    chain, number = residue.split(":")
    return f"{chain}:{name}{number}"
