"""Bond orders and formal charges for a geometry whose SMILES is known, but not which atom is which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from moldiff.chem.arrays import MoleculeArrays, from_mol, pair_indices, sanitized
from moldiff.chem.perception import perceive_bonds
from moldiff.chem.smiles import canonical_smiles

Method = Literal["order", "isomorphism", "file", "perception"]

MAX_STRETCH = 1.2  # bonds in the order of the SMILES may be this many times the sum of the covalent radii long
REACH = 1.35  # the same for a match through the graph of short distances, where the shortest bonds win
MAX_MATCHES = 1000


class UnexplainedBondsError(ValueError):
    """No set of bonds explains a geometry. The message is the reason in words that are the same for all such cases."""


@dataclass(frozen=True)
class Assignment:
    """A geometry with bonds, and how they were found.

    `order`: the atoms come as in the SMILES; `isomorphism`: they were matched through the graph of short distances;
    `file`: the bonds that came with the geometry were kept; `perception`: neither SMILES nor given bonds fit, the bonds
    were perceived from the coordinates alone.
    """

    molecule: MoleculeArrays
    smiles: str  # canonical, without stereo and hydrogens, of the bonds that were assigned
    method: Method


def assign_bonds(smiles: str, atomic_numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> Assignment:
    """Find bond orders and formal charges of N atoms at `positions` (N, 3) Å such that they make the molecule `smiles`.

    The order of the SMILES is tried first and accepted if the elements agree and every bond is short enough. Then heavy
    atoms, labelled by element and number of hydrogens, are matched to the SMILES within the graph of short distances;
    of several matches the one with the shortest (order-weighted) bonds is taken. At last the bonds are perceived.

    Raises:
        UnexplainedBondsError: if nothing fits.
    """
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    radii = covalent_radii()[atomic_numbers]
    stretch = distances / (radii[:, None] + radii[None])
    template = Chem.MolFromSmiles(smiles)
    if template is None:
        return _perceived(atomic_numbers, positions)
    full = Chem.AddHs(template)
    Chem.Kekulize(full, clearAromaticFlags=True)
    numbers = np.array([atom.GetAtomicNum() for atom in full.GetAtoms()])
    orders = Chem.GetAdjacencyMatrix(full, useBO=True)
    method: Method = "order"
    places: NDArray[np.int64] | None = np.arange(len(numbers))
    if not (np.array_equal(numbers, atomic_numbers) and stretch[orders > 0].max(initial=0.0) < MAX_STRETCH):
        method = "isomorphism"
        places = _match(template, orders, atomic_numbers, distances, stretch)
    if places is None:
        return _perceived(atomic_numbers, positions)
    charges = np.array([atom.GetFormalCharge() for atom in full.GetAtoms()])
    source = np.argsort(places)  # atom k of the geometry is atom source[k] of the SMILES
    i, j = pair_indices(len(source))
    bonds = orders[source[i], source[j]].astype(np.int8)
    molecule = MoleculeArrays(atomic_numbers, positions, charges[source], bonds)
    return Assignment(molecule, Chem.MolToSmiles(template, isomericSmiles=False), method)


def check_bonds(mol: Chem.Mol | None) -> Assignment:
    """Keep the bonds of a molecule (not sanitized, with a conformer) as a file gives them, or perceive better ones.

    They are kept if RDKit can sanitize the molecule and it is one neutral fragment without radicals or missing
    hydrogens.

    Raises:
        UnexplainedBondsError: if nothing explains the geometry, or `mol` is None.
    """
    if mol is None:
        raise UnexplainedBondsError("RDKit cannot read the record")
    with rdBase.BlockLogs():
        clean = sanitized(mol)
    if clean is not None and all(a.GetTotalNumHs() == 0 for a in clean.GetAtoms()) and _problem(clean) is None:
        return Assignment(from_mol(clean), canonical_smiles(clean), "file")
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.int64)
    return _perceived(numbers, mol.GetConformer().GetPositions())


def _match(
    template: Chem.Mol,
    orders: NDArray[np.float64],
    atomic_numbers: NDArray[np.int64],
    distances: NDArray[np.float64],
    stretch: NDArray[np.float64],
) -> NDArray[np.int64] | None:
    """The place in the geometry of each atom of the SMILES (hydrogens after the heavy atoms), or None."""
    heavy, hydrogens = np.flatnonzero(atomic_numbers > 1), np.flatnonzero(atomic_numbers == 1)
    if len(heavy) != template.GetNumAtoms() or len(atomic_numbers) != len(orders):
        return None
    parent = heavy[stretch[np.ix_(hydrogens, heavy)].argmin(1)] if len(hydrogens) else hydrogens
    if len(hydrogens) and stretch[hydrogens, parent].max() > REACH:
        return None
    counts = np.bincount(parent, minlength=len(atomic_numbers))[heavy]
    target = _skeleton(atomic_numbers[heavy], counts, stretch[np.ix_(heavy, heavy)] < REACH)
    n = len(heavy)
    query = _skeleton(
        np.array([atom.GetAtomicNum() for atom in template.GetAtoms()]),
        np.array([atom.GetTotalNumHs() for atom in template.GetAtoms()]),
        orders[:n, :n] > 0,
    )
    matches = np.array(target.GetSubstructMatches(query, uniquify=False, maxMatches=MAX_MATCHES), dtype=np.int64)
    if not len(matches):
        return None
    a, b = np.nonzero(np.triu(orders[:n, :n]))
    lengths = (orders[a, b] * distances[heavy[matches[:, a]], heavy[matches[:, b]]]).sum(1)
    best = heavy[matches[lengths.argmin()]]
    placed = [hydrogens[parent == place] for place in best]  # AddHs appends them heavy atom by heavy atom
    return np.concatenate([best, *placed])


def _skeleton(numbers: NDArray[np.int64], hydrogens: NDArray[np.int64], bonded: NDArray[np.bool_]) -> Chem.Mol:
    """Heavy atoms joined by single bonds, with the number of hydrogens as isotope label so that matches respect it."""
    mol = Chem.RWMol()
    for number, count in zip(numbers.tolist(), hydrogens.tolist(), strict=True):
        atom = Chem.Atom(number)
        atom.SetIsotope(count + 1)
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    for i, j in zip(*(side.tolist() for side in np.nonzero(np.triu(bonded, 1))), strict=True):
        mol.AddBond(i, j, Chem.BondType.SINGLE)
    return mol.GetMol()


def _perceived(atomic_numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> Assignment:
    mol = perceive_bonds(atomic_numbers, positions)
    if mol is None:
        raise UnexplainedBondsError("no bonds that RDKit accepts")
    problem = _problem(mol)
    if problem is not None:
        raise UnexplainedBondsError(problem)
    return Assignment(from_mol(mol), canonical_smiles(mol), "perception")


def _problem(mol: Chem.Mol) -> str | None:
    """Why a sanitized molecule is none of QM9's kind, if so."""
    if len(Chem.GetMolFrags(mol)) > 1:
        return "more than one fragment"
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return "radical"
    return "charged" if Chem.GetFormalCharge(mol) else None


@cache
def covalent_radii() -> NDArray[np.float64]:
    """Covalent radii in Å by atomic number (119,), as RDKit has them (Cordero et al. 2008); 0 for number 0."""
    table = Chem.GetPeriodicTable()
    return np.array([0.0] + [table.GetRcovalent(number) for number in range(1, 119)])
