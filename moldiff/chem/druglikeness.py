"""Drug-likeness of one molecule by RDKit."""

from __future__ import annotations

from functools import cache
from typing import Any

from rdkit import Chem
from rdkit.Chem import QED, rdMolDescriptors


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


@cache
def _sascorer() -> Any:
    from rdkit.Contrib.SA_Score import sascorer

    return sascorer
