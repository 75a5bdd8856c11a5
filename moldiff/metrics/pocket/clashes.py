"""Atoms of a molecule that sit too close to atoms of the pocket; heavy atoms only, on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rdkit import Chem
from scipy.spatial import cKDTree

from moldiff.metrics.pocket.protein import Protein

TOLERANCE = 0.5
"""Å that the van der Waals spheres of two atoms may overlap before the pair counts as a clash (Harris et al. 2023)."""

SEVERE = 0.7
"""Share of the sum of the van der Waals radii below which a clash is severe: no repair by minimising is likely.

2.25 Å for C···O and 2.38 Å for C···C; the shortest hydrogen bonds (O···O, 2.4 Å) have a share of 0.79. Of the reference
ligands of CrossDocked2020's 100 test pockets 99 have no severe clash.
"""


@dataclass(frozen=True)
class Clashes:
    """How close a molecule comes to the pocket."""

    count: int  # pairs of atoms with d + TOLERANCE < r_i + r_j
    severe: int  # pairs with d < SEVERE · (r_i + r_j)
    closest: float  # smallest d / (r_i + r_j)


def clashes(mol: Chem.Mol, protein: Protein) -> Clashes:
    """Count the clashing pairs of heavy atoms, with RDKit's van der Waals radii (Å).

    Hydrogens are left out, as their places in the pocket are not known: PoseCheck (Harris et al. 2023), which adds them
    to both, counts more.

    Raises:
        ValueError: if the molecule has no coordinates, or no heavy atoms.
    """
    if mol.GetNumConformers() == 0 or mol.GetNumHeavyAtoms() == 0:
        raise ValueError("Got a molecule without heavy atoms or without coordinates; expected both, to find clashes")
    table = Chem.GetPeriodicTable()
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    positions = mol.GetConformer().GetPositions()[heavy]
    radii = np.array([table.GetRvdw(mol.GetAtomWithIdx(k).GetAtomicNum()) for k in heavy])
    protein_radii = np.array([table.GetRvdw(int(z)) for z in protein.elements])
    near = cKDTree(protein.positions).query_ball_point(positions, 6.0)  # more than two of the largest radii
    first = np.repeat(np.arange(len(heavy)), [len(neighbours) for neighbours in near])
    second = np.array([k for neighbours in near for k in neighbours], dtype=np.int64)
    distance = np.linalg.norm(positions[first] - protein.positions[second], axis=1)
    sums = radii[first] + protein_radii[second]
    return Clashes(
        count=int((distance + TOLERANCE < sums).sum()),
        severe=int((distance < SEVERE * sums).sum()),
        closest=float((distance / sums).min()) if len(distance) else float("inf"),
    )
