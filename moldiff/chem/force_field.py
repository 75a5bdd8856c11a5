"""Small mends to the geometry of a molecule, alone or in a pocket, by RDKit's force fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers as force_fields
from scipy.spatial import cKDTree

from moldiff.chem.arrays import sanitized
from moldiff.chem.pocket import Pocket

NEAR = 6.0  # Å; the largest van der Waals radii, twice, and room to move
_MAX_STEPS = 2000
_FREE, _TETHER = 0.1, 20.0  # Å, and kcal/mol/Å² on heavy atoms that are further than that from where they were
_STIFFNESS = 100.0  # kcal/mol/Å², of atoms that come too close to the pocket
_OVERLAP, _POLAR_OVERLAP = 0.1, 0.5  # Å that van der Waals spheres may overlap, and those of a hydrogen bond
_POLAR = frozenset({7, 8, 9, 16})


@dataclass(frozen=True)
class Relaxed:
    """A molecule after relaxation."""

    mol: Chem.Mol  # atoms, bonds and properties as they were
    rmsd: float  # Å that its atoms have moved, without superposition


def relax(mol: Chem.Mol, pocket: Pocket | None = None) -> Relaxed:
    """Bring a molecule to the next minimum of MMFF94s (Halgren 1999), or of UFF where MMFF94s lacks parameters.

    Charges do not act on each other, as they are in no water here. In a pocket, heavy atoms are held near their places
    and pushed out of those of the pocket, which stays as it is. The molecule is not changed; hydrogens that it lacks
    are there while it is relaxed.

    Args:
        mol: with bonds and coordinates in Å, sanitized or not.
        pocket: in the frame of the molecule.

    Raises:
        ValueError: if it has no finite coordinates in 3D, RDKit does not sanitize it, neither force field has
            parameters for it, or it does not come to rest.
    """
    if not mol.GetNumConformers() or not mol.GetConformer().Is3D():
        raise ValueError("it has no coordinates in 3D")
    before = mol.GetConformer().GetPositions()
    if not np.isfinite(before).all():
        raise ValueError("its coordinates are no finite numbers")
    with rdBase.BlockLogs():
        whole = sanitized(mol)
        if whole is None:
            raise ValueError("RDKit does not sanitize it")
        moved = Chem.AddHs(whole, addCoords=True)  # behind the atoms that are there
        field, kind = _force_field(moved)
        if pocket is None:
            field.Initialize()
        else:
            _put_into(field, kind, moved, pocket)
        left = field.Minimize(maxIts=_MAX_STEPS)
        if not np.isfinite(field.CalcEnergy()):
            raise ValueError("its atoms lie in one place")
        if left:
            raise ValueError(f"it does not come to rest in {_MAX_STEPS:,} steps")
    out = Chem.Mol(mol)
    out.GetConformer().SetPositions(np.ascontiguousarray(moved.GetConformer().GetPositions()[: mol.GetNumAtoms()]))
    return Relaxed(out, rmsd(mol, out))


def rmsd(before: Chem.Mol, after: Chem.Mol) -> float:
    """Root mean square distance, in Å, that the atoms have moved, without superposition."""
    shift = after.GetConformer().GetPositions() - before.GetConformer().GetPositions()
    return float(np.sqrt((shift**2).sum(1).mean()))


def is_near(mol: Chem.Mol, positions: NDArray[np.float64]) -> bool:
    """Whether an atom with finite coordinates is within `NEAR` of any of the positions (N, 3) in Å."""
    points = mol.GetConformer().GetPositions() if mol.GetNumConformers() else np.empty((0, 3))
    points = points[np.isfinite(points).all(1)]
    return len(points) > 0 and bool(cKDTree(positions).query(points)[0].min() < NEAR)


def _force_field(mol: Chem.Mol) -> tuple[Any, str]:
    """The force field of a molecule with hydrogens, and what the names of its restraints begin with."""
    if force_fields.MMFFHasAllMoleculeParams(mol):
        parameters = force_fields.MMFFGetMoleculeProperties(mol, mmffVariant="MMFF94s")
        parameters.SetMMFFEleTerm(False)
        return force_fields.MMFFGetMoleculeForceField(mol, parameters), "MMFF"
    if force_fields.UFFHasAllMoleculeParams(mol):
        return force_fields.UFFGetMoleculeForceField(mol), "UFF"
    raise ValueError("neither MMFF94s nor UFF has parameters for it")


def _put_into(field: Any, kind: str, mol: Chem.Mol, pocket: Pocket) -> None:
    """Add the atoms of the pocket to a force field, as points that do not move, and what holds the molecule there."""
    table, positions = Chem.GetPeriodicTable(), mol.GetConformer().GetPositions()
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    near = cKDTree(pocket.positions).query_ball_point(positions[heavy], NEAR)
    wanted = sorted({int(there) for places in near for there in places})
    points = {there: field.AddExtraPoint(*pocket.positions[there].tolist(), True) - 1 for there in wanted}
    field.Initialize()
    keep_apart, hold = (getattr(field, f"{kind}Add{name}Constraint") for name in ("Distance", "Position"))
    for here, places in zip(heavy, near, strict=True):
        hold(here, _FREE, _TETHER)
        mine = mol.GetAtomWithIdx(here).GetAtomicNum()
        for there in places:
            its = int(pocket.atomic_numbers[there])
            overlap = _POLAR_OVERLAP if {mine, its} <= _POLAR else _OVERLAP
            least = table.GetRvdw(mine) + table.GetRvdw(its) - overlap
            keep_apart(here, points[int(there)], False, least, 2 * NEAR + least, _STIFFNESS)
