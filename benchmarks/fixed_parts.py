"""Fragments cut from QM9's test molecules, and the rest drawn anew: `python -m benchmarks.fixed_parts --help`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rdkit import Chem

from moldiff.chem.arrays import from_mol, to_mol
from moldiff.data.qm9_datamodule import QM9DataModule


def grow_cuts(mol: Chem.Mol, smallest: int = 4, largest: int = 6) -> list[tuple[int, ...]]:
    """Fragments on either side of a single bond outside rings, with so many heavy atoms."""
    cuts = []
    for bond in _cuttable(mol):
        for part in _without(mol, [bond]):
            if smallest <= _heavy(mol, part) <= largest:
                cuts.append(part)
    return cuts


def link_cuts(mol: Chem.Mol, smallest: int = 4, largest: int = 6) -> list[tuple[int, ...]]:
    """Pairs of fragments of at least two heavy atoms each, whose linker is taken out."""
    cuts, bonds = [], _cuttable(mol)
    for k, first in enumerate(bonds):
        for second in bonds[:k]:
            ends = [{b.GetBeginAtomIdx(), b.GetEndAtomIdx()} for b in (first, second)]
            parts = _without(mol, [first, second])
            outer = [p for p in parts if not all(set(p) & end for end in ends)]
            if len(parts) == 3 and len(outer) == 2 and min(_heavy(mol, p) for p in outer) >= 2:
                kept = tuple(sorted(outer[0] + outer[1]))
                if smallest <= _heavy(mol, kept) <= largest:
                    cuts.append(kept)
    return cuts


def cut(mol: Chem.Mol, kept: tuple[int, ...]) -> Chem.Mol:
    """The atoms of a fragment, with open valences where bonds are cut."""
    editable = Chem.RWMol(mol)
    editable.BeginBatchEdit()
    for index in set(range(mol.GetNumAtoms())) - set(kept):
        editable.RemoveAtom(index)
    editable.CommitBatchEdit()
    return editable.GetMol()


def _cuttable(mol: Chem.Mol) -> list[Chem.Bond]:
    Chem.FastFindRings(mol)
    heavy = [b for b in mol.GetBonds() if min(b.GetBeginAtom().GetAtomicNum(), b.GetEndAtom().GetAtomicNum()) > 1]
    return [b for b in heavy if b.GetBondType() == Chem.BondType.SINGLE and not b.IsInRing()]


def _without(mol: Chem.Mol, bonds: list[Chem.Bond]) -> list[tuple[int, ...]]:
    editable = Chem.RWMol(mol)
    for bond in bonds:
        editable.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return [tuple(sorted(part)) for part in Chem.GetMolFrags(editable)]


def _heavy(mol: Chem.Mol, part: tuple[int, ...]) -> int:
    return sum(mol.GetAtomWithIdx(index).GetAtomicNum() > 1 for index in part)
