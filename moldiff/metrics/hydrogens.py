"""Molecules that come without hydrogens, and what they are scored with."""

from __future__ import annotations

from collections.abc import Sequence

from rdkit import Chem, rdBase

from moldiff.chem.arrays import kekulized

FILLED = (
    "open valences were filled with them, so that a missing bond looks like a hydrogen; EDM's rule and the "
    "distributions see them where RDKit puts them"
)
"""What a reader must know of the scores of molecules that were `filled`."""


def filled(molecules: Sequence[Chem.Mol | None]) -> tuple[list[Chem.Mol | None], bool]:
    """The molecules with hydrogens, and whether they had to be added: where no molecule of a file has any.

    Open valences are then filled with hydrogens, as everywhere where molecules are drawn without them.
    """
    there = [mol for mol in molecules if mol is not None]
    if not there or any(atom.GetAtomicNum() == 1 for mol in there for atom in mol.GetAtoms()):
        return list(molecules), False
    return [None if mol is None else _filled(mol) for mol in molecules], True


def _filled(mol: Chem.Mol) -> Chem.Mol:
    if mol.GetNumAtoms() > 1 and mol.GetNumBonds() == 0:
        return mol
    copy = kekulized(mol) or Chem.Mol(mol)
    with rdBase.BlockLogs():
        try:
            copy.UpdatePropertyCache(strict=False)
            Chem.FastFindRings(copy)
            Chem.SetConjugation(copy)
            Chem.SetHybridization(copy)  # says in which directions hydrogens go
            return Chem.AddHs(copy, addCoords=bool(copy.GetNumConformers()))
        except (ValueError, RuntimeError):
            return mol
