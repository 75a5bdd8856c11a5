"""Energies of a pose and of its relaxed conformers in the universal force field (UFF)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom
from rdkit.Chem import rdForceFieldHelpers as force_fields

_CONFORMERS = 50
_ATTEMPTS = 5  # for each conformer; RDKit's own limit takes many minutes where a molecule cannot be built
_TETHER = 100.0  # kcal/mol/Å², on heavy atoms that leave their place by more than 0.1 Å
_RATIO = 100.0  # PoseBusters' threshold


@dataclass(frozen=True)
class PoseEnergies:
    """UFF energies of one molecule in kcal/mol."""

    pose: float  # as given, hydrogens relaxed
    tethered: float  # relaxed with each heavy atom held within 0.1 Å of its place
    free: float  # the pose relaxed without limits
    conformers: tuple[float, ...]  # up to 50, made from scratch and relaxed; at least one

    @property
    def strain(self) -> float:
        """The tethered pose above the best of all relaxed conformers, as in PoseCheck (Harris et al. 2023)."""
        return self.tethered - min(self.free, *self.conformers)

    @property
    def passes(self) -> bool:
        """PoseBusters' check of the internal energy: the pose has at most 100 times the conformers' mean energy."""
        return self.pose <= _RATIO * sum(self.conformers) / len(self.conformers)


def pose_energies(mol: Chem.Mol) -> PoseEnergies | None:
    """Energies of a pose; None if UFF lacks parameters, or none of 50 conformers can be made in five attempts each.

    Args:
        mol: sanitized, with coordinates in Å; missing hydrogens are added.
    """
    pose = Chem.AddHs(mol, addCoords=True)
    with rdBase.BlockLogs():
        if not force_fields.UFFHasAllMoleculeParams(pose):
            return None
        others = Chem.Mol(pose)
        parameters: Any = rdDistGeom.ETKDGv3()  # RDKit's type hints call its settings read-only
        parameters.randomSeed = 42
        parameters.useRandomCoords = True
        parameters.maxIterations = _ATTEMPTS
        if not len(rdDistGeom.EmbedMultipleConfs(others, _CONFORMERS, parameters)):
            return None
        conformers = force_fields.UFFOptimizeMoleculeConfs(others)
        return PoseEnergies(
            pose=_minimise(pose, lambda field, atom: field.AddFixedPoint(atom)),
            tethered=_minimise(pose, lambda field, atom: field.UFFAddPositionConstraint(atom, 0.1, _TETHER)),
            free=_minimise(pose, lambda field, atom: None),
            conformers=tuple(float(energy) for _, energy in conformers),
        )


def _minimise(mol: Chem.Mol, hold: Callable[..., None]) -> float:
    """Energy after up to 1,000 steps, without that of the restraints; heavy atoms are held as `hold` says."""
    moved = Chem.Mol(mol)
    field = force_fields.UFFGetMoleculeForceField(moved)
    field.Initialize()
    for atom in moved.GetAtoms():
        if atom.GetAtomicNum() > 1:
            hold(field, atom.GetIdx())
    field.Minimize(maxIts=1000)
    return float(force_fields.UFFGetMoleculeForceField(moved).CalcEnergy())
