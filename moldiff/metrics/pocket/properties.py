"""Drug-likeness and strain of one molecule, straight from RDKit."""

from __future__ import annotations

from functools import cache
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import QED, rdDistGeom, rdMolDescriptors
from rdkit.Chem import rdForceFieldHelpers as force_fields

_CONFORMERS = 50
_TETHER = 100.0  # kcal/mol/Å², of the heavy atoms that leave their place by more than 0.1 Å


def qed(mol: Chem.Mol) -> float:
    """Quantitative estimate of drug-likeness, 0 to 1 (Bickerton et al. 2012)."""
    return float(QED.qed(mol))  # type: ignore[no-untyped-call]


def sa(mol: Chem.Mol) -> float:
    """Synthetic accessibility (Ertl & Schuffenhauer 2009) as (10 − score) / 9: from 0, hard, to 1, easy."""
    return (10.0 - float(_sascorer().calculateScore(mol))) / 9.0


def logp(mol: Chem.Mol) -> float:
    """Octanol-water partition coefficient (Wildman & Crippen 1999)."""
    return float(rdMolDescriptors.CalcCrippenDescriptors(mol)[0])


def lipinski(mol: Chem.Mol) -> int:
    """How many of Lipinski's four rules hold: mass ≤ 500 Da, log P ≤ 5, ≤ 5 donors, ≤ 10 acceptors (1997)."""
    rules = (
        rdMolDescriptors._CalcMolWt(mol) <= 500.0,
        logp(mol) <= 5.0,
        rdMolDescriptors.CalcNumHBD(mol) <= 5,
        rdMolDescriptors.CalcNumHBA(mol) <= 10,
    )
    return sum(rules)


def strain(mol: Chem.Mol) -> float | None:
    """UFF energy of the pose above the best of 50 relaxed conformers, kcal/mol; None without UFF parameters.

    Before, the pose is relaxed with each heavy atom held within 0.1 Å of its place, hydrogens free, as in PoseCheck
    (Harris et al. 2023). The relaxed pose itself, without the tether, is one of the conformers.
    """
    pose = Chem.AddHs(mol, addCoords=True)
    with rdBase.BlockLogs():
        if not force_fields.UFFHasAllMoleculeParams(pose):
            return None
        field = force_fields.UFFGetMoleculeForceField(pose)
        field.Initialize()
        for atom in pose.GetAtoms():
            if atom.GetAtomicNum() > 1:
                field.UFFAddPositionConstraint(atom.GetIdx(), 0.1, _TETHER)
        field.Minimize(maxIts=1000)
        bound = float(force_fields.UFFGetMoleculeForceField(pose).CalcEnergy())
        free = Chem.Mol(pose)
        others = Chem.Mol(pose)
        rdDistGeom.EmbedMultipleConfs(others, _CONFORMERS, randomSeed=1)
        results = force_fields.UFFOptimizeMoleculeConfs(others) if others.GetNumConformers() else []
        results += force_fields.UFFOptimizeMoleculeConfs(free, maxIters=1000)
    return float(bound - min(energy for _, energy in results))


@cache
def _sascorer() -> Any:
    from rdkit.Contrib.SA_Score import sascorer

    return sascorer
