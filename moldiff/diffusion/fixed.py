"""Fixed parts: the atoms of a fragment that every molecule shall hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from rdkit import Chem
from torch import Tensor

from moldiff.chem.arrays import MoleculeArrays, from_mol, pair_indices
from moldiff.chem.files import read_molecule
from moldiff.chem.valence import STRICT_VALENCES
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch


@dataclass(frozen=True)
class FixedAtoms:
    """The first F atoms of every molecule that is drawn, with all bonds among them."""

    atoms: MolBatch  # one molecule of F atoms, Å, in the frame of the results
    free: Int[Tensor, " F"]  # the sum of orders of bonds to new atoms that each may have

    def __len__(self) -> int:
        """F."""
        return self.atoms.mask.shape[1]

    def moved(self, shift: Float[Tensor, "3"], device: torch.device) -> FixedAtoms:
        """The same atoms elsewhere (Å), on a device."""
        atoms = self.atoms.replace(pos=self.atoms.pos + shift.to(self.atoms.pos)).to(device)
        return replace(self, atoms=atoms, free=self.free.to(device))


def fix_atoms(
    fragment: str | os.PathLike[str] | Chem.Mol, vocabulary: Vocabulary, anchors: Sequence[int] | None = None
) -> FixedAtoms:
    """Read a fragment, which may be several pieces, with open valences where bonds were cut.

    Args:
        fragment: a molecule with coordinates, or its .sdf file. If hydrogens are atoms for the
            model, those given are fixed too, and those missing are open valences; if not, they are left out.
        vocabulary: of the model.
        anchors: numbers, from 1 as in the file, of the atoms that may get new bonds; if None, all with a free valence.

    Raises:
        ValueError: if the fragment cannot be read or used, or no atom may get a new bond, or one that must get one.
    """
    mol = Chem.Mol(fragment if isinstance(fragment, Chem.Mol) else read_molecule(fragment))
    for atom in mol.GetAtoms():
        atom.SetNoImplicit(True)  # what is not there is an open valence
        atom.SetNumExplicitHs(0)
    arrays = from_mol(mol, hydrogens=vocabulary.hydrogens)
    kept = [a.GetIdx() + 1 for a in mol.GetAtoms() if vocabulary.hydrogens or a.GetAtomicNum() > 1]
    wrong = [number for number in anchors or () if number not in kept]
    if wrong:
        raise ValueError(
            f"got anchor {wrong[0]}: the fragment has the atoms 1 to {mol.GetNumAtoms()}"
            + ("" if vocabulary.hydrogens else ", and anchors must be heavy atoms")
        )
    free = _free_valences(arrays, kept, anchors, vocabulary.hydrogens)
    assert arrays.bond_orders is not None
    atoms = MolBatch(
        torch.as_tensor(arrays.positions, dtype=torch.float32)[None],
        torch.as_tensor(vocabulary.element_index(arrays.atomic_numbers))[None],
        torch.as_tensor(vocabulary.charge_index(arrays.charges))[None],
        torch.as_tensor(arrays.bond_orders.astype(np.int64))[None],
        torch.ones(1, len(arrays), dtype=torch.bool),
    )
    return FixedAtoms(atoms, torch.as_tensor(free))


def _free_valences(
    arrays: MoleculeArrays, numbers: Sequence[int], anchors: Sequence[int] | None, hydrogens: bool
) -> list[int]:
    """What each atom may bind besides; `numbers`: of the atoms in the file."""
    assert arrays.bond_orders is not None
    used = np.zeros(len(arrays), dtype=np.int64)
    for atoms in pair_indices(len(arrays)):
        np.add.at(used, atoms, arrays.bond_orders)
    free = []
    for number, z, charge, bonds in zip(numbers, arrays.atomic_numbers, arrays.charges, used, strict=True):
        allowed = STRICT_VALENCES.get((int(z), int(charge)), frozenset({int(bonds)}))
        name = f"atom {number} of the fragment ({Chem.GetPeriodicTable().GetElementSymbol(int(z))})"
        if bonds > max(allowed):
            raise ValueError(
                f"{name} has bonds of order {bonds} in all; expected at most {max(allowed)}: mend the file"
            )
        is_anchor = anchors is None or number in anchors
        if hydrogens and not is_anchor and bonds not in allowed:
            raise ValueError(
                f"{name} has bonds missing and is no anchor: name it among the anchors, or add its hydrogens, for "
                "example with RDKit's Chem.AddHs(mol, addCoords=True)"
            )
        if anchors is not None and is_anchor and bonds == max(allowed):
            raise ValueError(f"{name} is an anchor without a free valence: take a hydrogen off, or choose another")
        free.append(max(allowed) - int(bonds) if is_anchor else 0)
    if not any(free):
        raise ValueError("no atom of the fragment has a free valence: take a hydrogen off where the rest shall grow")
    return free
