"""Molecules as numpy arrays, and the way to RDKit and back.

Packed pairs: a symmetric property of the pairs of n atoms is a vector of n(n-1)/2 entries for the pairs (i, j), i > j,
at the place i(i-1)/2 + j, that is (1,0), (2,0), (2,1), (3,0), ... A further atom only appends entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Geometry import Point3D

_BOND_TYPES = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}
_BOND_ORDERS = {bond_type: order for order, bond_type in _BOND_TYPES.items()}


@dataclass(frozen=True)
class MoleculeArrays:
    """One molecule of N atoms and P = N(N-1)/2 pairs: with all its hydrogens, or heavy atoms only.

    Raises:
        ValueError: if the shapes do not fit together.
    """

    atomic_numbers: NDArray[np.int64]  # (N,)
    positions: NDArray[np.float64]  # (N, 3), Å
    charges: NDArray[np.int64]  # (N,), formal charges in e
    bond_orders: NDArray[np.int8] | None = None  # (P,), packed Kekulé orders; None = unknown

    def __post_init__(self) -> None:
        """Check the shapes."""
        n = len(self.atomic_numbers)
        expected = {"positions": (n, 3), "charges": (n,), "bond_orders": (n * (n - 1) // 2,)}
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"MoleculeArrays.{name}: got shape {value.shape}; expected {shape} for {n} atoms")

    def __len__(self) -> int:
        """Number of atoms."""
        return len(self.atomic_numbers)


def pair_indices(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Atoms (i, j), i > j, of the packed pairs of `n` atoms, in their order."""
    i, j = np.tril_indices(n, -1)
    return i, j


def to_mol(arrays: MoleculeArrays, hydrogens: bool = True) -> Chem.Mol:
    """The molecule exactly as given, with a conformer: not sanitized, no implicit hydrogens.

    Unknown bonds are perceived from the coordinates (`moldiff.chem.perception`); if that fails, the molecule has none.

    Args:
        arrays: atoms and bonds.
        hydrogens: whether all hydrogens are among the atoms. If not, implicit hydrogens fill up the valences, as RDKit
            counts them, and the bonds must be known.

    Raises:
        ValueError: if a bond order is not 0, 1, 2 or 3, or the bonds of a molecule without hydrogens are unknown.
    """
    if arrays.bond_orders is None and not hydrogens:
        raise ValueError("Got a molecule without hydrogens and without bonds; bonds are perceived with hydrogens only")
    if arrays.bond_orders is None:
        from moldiff.chem.perception import perceive_bonds

        perceived = perceive_bonds(arrays.atomic_numbers, arrays.positions)
        if perceived is not None:
            return perceived
    mol = Chem.RWMol()
    for number, charge in zip(arrays.atomic_numbers.tolist(), arrays.charges.tolist(), strict=True):
        atom = Chem.Atom(number)
        atom.SetFormalCharge(charge)
        atom.SetNoImplicit(hydrogens)
        mol.AddAtom(atom)
    if arrays.bond_orders is not None:
        i, j = pair_indices(len(arrays))
        for p in np.flatnonzero(arrays.bond_orders).tolist():
            order = int(arrays.bond_orders[p])
            if order not in _BOND_TYPES:
                raise ValueError(f"Got bond order {order} between atoms {i[p]} and {j[p]}; expected 0, 1, 2 or 3")
            mol.AddBond(int(i[p]), int(j[p]), _BOND_TYPES[order])
    conformer = Chem.Conformer(len(arrays))
    conformer.Set3D(True)
    for k, (x, y, z) in enumerate(arrays.positions.tolist()):
        conformer.SetAtomPosition(k, Point3D(x, y, z))
    mol.AddConformer(conformer, assignId=True)
    if not hydrogens:
        mol.UpdatePropertyCache(strict=False)  # counts the implicit ones
    return mol.GetMol()


def from_mol(mol: Chem.Mol, hydrogens: bool = True) -> MoleculeArrays:
    """The arrays of a molecule with a 3D conformer; aromatic bonds become Kekulé orders.

    Args:
        mol: the molecule; it is not changed.
        hydrogens: whether hydrogens are wanted, which must then be atoms, all of them. If not, the heavy atoms are
            taken and hydrogens are dropped, be they atoms or implicit; `to_mol` fills them in again.

    Raises:
        ValueError: if there are no (heavy) atoms, wanted hydrogens or 3D coordinates are missing, the aromatic bonds
            cannot be kekulized, or an atom or bond is of a kind that cannot be stored (query atoms, dative bonds).
    """
    if mol.GetNumAtoms() == 0:
        raise ValueError("Got a molecule without atoms")
    if mol.GetNumConformers() == 0 or not mol.GetConformer().Is3D():
        raise ValueError("Got a molecule without 3D coordinates; add them, for example with RDKit's EmbedMolecule")
    mol = Chem.Mol(mol)
    mol.UpdatePropertyCache(strict=False)
    missing = sum(atom.GetTotalNumHs() for atom in mol.GetAtoms()) if hydrogens else 0
    if missing:
        raise ValueError(
            f"Got a molecule with {missing} implicit hydrogens; expected all hydrogens as atoms with 3D coordinates: "
            "add them, for example with RDKit's Chem.AddHs(mol, addCoords=True)"
        )
    try:
        Chem.Kekulize(mol, clearAromaticFlags=True)
    except Chem.KekulizeException as error:
        raise ValueError(f"Got aromatic bonds that have no Kekulé form: {error}") from error
    atomic_numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.int64)
    if (atomic_numbers == 0).any():
        raise ValueError("Got a dummy or query atom (atomic number 0); expected real elements only")
    kept = np.full(len(atomic_numbers), True) if hydrogens else atomic_numbers != 1
    if not kept.any():
        raise ValueError(f"Got a molecule of {len(atomic_numbers)} hydrogens; expected heavy atoms")
    place = np.cumsum(kept) - 1  # of each atom among those that are kept
    bond_orders = np.zeros(kept.sum() * (kept.sum() - 1) // 2, dtype=np.int8)
    for bond in mol.GetBonds():
        j, i = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        if not (kept[i] and kept[j]):
            continue
        i, j = int(place[i]), int(place[j])
        if bond.GetBondType() not in _BOND_ORDERS:
            raise ValueError(f"Got a bond of type {bond.GetBondType()}; expected single, double, triple or aromatic")
        bond_orders[i * (i - 1) // 2 + j] = _BOND_ORDERS[bond.GetBondType()]
    charges = np.array([atom.GetFormalCharge() for atom in mol.GetAtoms()], dtype=np.int64)
    return MoleculeArrays(atomic_numbers[kept], mol.GetConformer().GetPositions()[kept], charges[kept], bond_orders)


def sanitized(mol: Chem.Mol) -> Chem.Mol | None:
    """A sanitized copy, or None where RDKit refuses the molecule."""
    copy = Chem.Mol(mol)
    try:
        Chem.SanitizeMol(copy)
    except (Chem.MolSanitizeException, ValueError, RuntimeError):
        return None
    return copy


def kekulized(mol: Chem.Mol) -> Chem.Mol | None:
    """A copy with aromatic bonds in a Kekulé form, or None if there is none; a molecule without them is copied."""
    copy = Chem.Mol(mol)
    if any(bond.GetBondType() == Chem.BondType.AROMATIC or bond.GetIsAromatic() for bond in copy.GetBonds()):
        with rdBase.BlockLogs():
            try:
                Chem.Kekulize(copy, clearAromaticFlags=True)
            except (ValueError, RuntimeError):
                return None
    return copy
