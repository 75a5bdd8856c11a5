"""Rewards by name, for steering: quantities of a molecule that are better the larger they are."""

from __future__ import annotations

from collections.abc import Callable

from rdkit import Chem

from moldiff.chem import druglikeness

Reward = Callable[[Chem.Mol], float]
"""Any function of a sanitized molecule with a conformer; hydrogens are atoms if the model draws them. NaN: no value."""

NAMES = ("qed", "logp", "sa")


def reward_by_name(name: str) -> Reward:
    """A reward for a name.

    Args:
        name: "qed" (Bickerton et al. 2012, 0 to 1), "logp" (Wildman & Crippen 1999), "sa" (synthetic accessibility,
            Ertl & Schuffenhauer 2009, turned round: from 0, hard, to 1, easy), or "smarts:PATTERN": the number of
            distinct matches of a pattern.

    Raises:
        ValueError: if the name is unknown, or RDKit cannot read the pattern.
    """
    kind, _, pattern = name.partition(":")
    if kind == "smarts" and pattern:
        query = Chem.MolFromSmarts(pattern)
        if query is None:
            raise ValueError(f"RDKit cannot read the SMARTS pattern {pattern!r}: correct it, for example smarts:[OX2H]")
        return lambda mol: float(len(mol.GetSubstructMatches(query)))
    rewards: dict[str, Reward] = {"qed": druglikeness.qed, "logp": druglikeness.logp, "sa": _ease}
    if name not in rewards:
        raise ValueError(f"unknown reward {name!r}: expected one of {', '.join(NAMES)}, properties, or smarts:PATTERN")
    return rewards[name]


def _ease(mol: Chem.Mol) -> float:
    return druglikeness.sa(Chem.RemoveHs(mol))
