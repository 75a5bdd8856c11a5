"""Stability, validity, uniqueness and novelty as EDM counts them (Hoogeboom et al. 2022), and the field since.

The rule sees elements and coordinates only. Bonds come from a table of distances (`moldiff.chem.bond_lengths`); formal
charges do not exist. An atom is stable if its bond orders sum exactly to its valence, a molecule if all its atoms
are. A molecule is "valid" if RDKit sanitizes what the table's bonds give, and it then stands for its *largest
fragment*; missing hydrogens are filled in by RDKit. So a molecule in pieces may be valid here: see
`moldiff.metrics.strict` for a rule that does not forgive that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from moldiff.chem.arrays import MoleculeArrays, pair_indices
from moldiff.chem.bond_lengths import edm_bond_orders
from moldiff.chem.valence import EDM_VALENCES
from moldiff.metrics.novelty import HashSet
from moldiff.metrics.share import Share, requested_count

_BOND_TYPES = (Chem.BondType.ZERO, Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)


@dataclass(frozen=True)
class EDMVerdict:
    """What EDM's rule says of one molecule."""

    num_atoms: int
    num_stable_atoms: int
    smiles: str | None  # of the largest fragment, with hydrogens as atoms; None = not valid

    @property
    def stable(self) -> bool:
        """Whether all atoms are stable; False for a molecule without atoms."""
        return 0 < self.num_atoms == self.num_stable_atoms


@dataclass(frozen=True)
class EDMScores:
    """The scores of a set of molecules under EDM's rule; each share names what it is a share of."""

    atom_stable: Share  # of all atoms of the molecules that were scored
    molecule_stable: Share  # of all requested molecules
    valid: Share  # of all requested molecules
    valid_and_unique: Share  # distinct valid ones, of all requested molecules
    unique: Share  # distinct valid ones, of the valid ones
    novel: Share | None  # not in the reference, of the distinct valid ones; None without a reference
    valid_unique_and_novel: Share | None  # the same, of all requested molecules

    @classmethod
    def of(
        cls,
        verdicts: Iterable[EDMVerdict | None],
        reference: HashSet | None = None,
        requested: int | None = None,
    ) -> EDMScores:
        """Count the verdicts.

        Args:
            verdicts: one per molecule; None where there was nothing to score.
            reference: the SMILES, by `edm_smiles`, of the molecules that are not novel.
            requested: number of molecules that were asked for, if more than there are verdicts; the rest counts as
            failed.

        Raises:
            ValueError: if there are no molecules, or more than `requested`.
        """
        listed = list(verdicts)
        total = requested_count(len(listed), requested)
        scored = [verdict for verdict in listed if verdict is not None]
        valid = [verdict.smiles for verdict in scored if verdict.smiles is not None]
        distinct = sorted(set(valid))
        novel = None if reference is None else len(distinct) - int(reference.contains(distinct).sum())
        atoms = sum(verdict.num_atoms for verdict in scored)
        return cls(
            atom_stable=Share(sum(verdict.num_stable_atoms for verdict in scored), atoms, "atoms scored"),
            molecule_stable=Share(sum(verdict.stable for verdict in scored), total, "requested"),
            valid=Share(len(valid), total, "requested"),
            valid_and_unique=Share(len(distinct), total, "requested"),
            unique=Share(len(distinct), len(valid), "valid"),
            novel=None if novel is None else Share(novel, len(distinct), "unique"),
            valid_unique_and_novel=None if novel is None else Share(novel, total, "requested"),
        )


def edm_verdict(molecule: Chem.Mol | MoleculeArrays | None) -> EDMVerdict | None:
    """Score one molecule by EDM's rule; bonds and charges that it carries are not looked at.

    Returns:
        None if there is nothing to score: no molecule, no atoms, no coordinates, or coordinates that are not finite.
        Elements outside EDM's tables are never stable, and not bonded.
    """
    geometry = geometry_of(molecule)
    if geometry is None:
        return None
    numbers, positions = geometry
    orders = edm_bond_orders(numbers, positions)
    i, j = pair_indices(len(numbers))
    bonds = np.bincount(i, orders, len(numbers)) + np.bincount(j, orders, len(numbers))
    stable = sum(
        int(total) in EDM_VALENCES.get(number, ())
        for number, total in zip(numbers.tolist(), bonds.tolist(), strict=True)
    )
    return EDMVerdict(len(numbers), stable, edm_smiles(numbers, orders))


def edm_whole_smiles(molecule: Chem.Mol | MoleculeArrays | None) -> str | None:
    """The SMILES by which EDM remembers a training molecule: of all its fragments; None if it is not valid."""
    geometry = geometry_of(molecule)
    if geometry is None:
        return None
    return edm_smiles(geometry.atomic_numbers, edm_bond_orders(*geometry), largest_fragment=False)


class Geometry(NamedTuple):
    """Elements and coordinates."""

    atomic_numbers: NDArray[np.int64]  # (N,)
    positions: NDArray[np.float64]  # (N, 3), Å


def geometry_of(molecule: Chem.Mol | MoleculeArrays | None) -> Geometry | None:
    """Elements and coordinates, or None if there are none or they are not finite."""
    if isinstance(molecule, MoleculeArrays):
        geometry = Geometry(molecule.atomic_numbers, molecule.positions)
    elif molecule is None or molecule.GetNumConformers() == 0:
        return None
    else:
        numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int64)
        geometry = Geometry(numbers, molecule.GetConformer().GetPositions())
    whole = len(geometry.atomic_numbers) > 0 and bool(np.isfinite(geometry.positions).all())
    return geometry if whole else None


def edm_smiles(
    atomic_numbers: Sequence[int] | NDArray[np.integer], bond_orders: NDArray[np.integer], largest_fragment: bool = True
) -> str | None:
    """SMILES with hydrogens written as atoms, or None if RDKit does not sanitize the molecule.

    Args:
        atomic_numbers: (N,).
        bond_orders: (P,) packed.
        largest_fragment: write that alone, as EDM does for generated molecules; for its training set it writes all.
    """
    mol = Chem.RWMol()
    for number in np.asarray(atomic_numbers).tolist():
        mol.AddAtom(Chem.Atom(number))
    i, j = pair_indices(len(atomic_numbers))
    for p in np.flatnonzero(bond_orders).tolist():
        mol.AddBond(int(i[p]), int(j[p]), _BOND_TYPES[bond_orders[p]])
    with rdBase.BlockLogs():
        if Chem.SanitizeMol(mol, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
            return None
        if largest_fragment and len(Chem.GetMolFrags(mol)) > 1:
            mol = max(Chem.GetMolFrags(mol, asMols=True), key=lambda fragment: fragment.GetNumAtoms())
        return str(Chem.MolToSmiles(mol))
