"""A number for the graph of a molecule's heavy atoms, by which data sets are kept apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

_ROUNDS = 8  # neighbours are mixed in so many times; distances in the graph have been mixed in before


def connectivity_key(mol: Chem.Mol) -> int:
    """A 64-bit number (signed) of elements and connections: bond orders, charges, hydrogens and stereo do not matter.

    Tautomers, protonation states, redox forms and stereoisomers share a key. It is a Weisfeiler-Lehman hash that starts
    from each atom's distances to all others; it depends neither on the order of the atoms nor on RDKit's release, so
    that keys can be shipped in files. Different graphs may share a key, which is rare and keeps too much apart at most.
    """
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.uint64)
    heavy = np.flatnonzero(numbers != 1)
    numbers = numbers[heavy]
    adjacency = Chem.GetAdjacencyMatrix(mol)[np.ix_(heavy, heavy)].astype(np.uint64)
    distances = np.minimum(Chem.GetDistanceMatrix(mol), 999)[np.ix_(heavy, heavy)].astype(np.uint64)
    surroundings = scatter_bits(numbers[None] * np.uint64(1000) + distances).sum(1, dtype=np.uint64)
    labels = scatter_bits(surroundings ^ scatter_bits(numbers))
    for _ in range(_ROUNDS):
        labels = scatter_bits(labels * np.uint64(3) + scatter_bits(adjacency @ labels))
    return int(scatter_bits(labels.sum(keepdims=True, dtype=np.uint64)).view(np.int64)[0])


def scatter_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter the bits of 64-bit numbers (finalizer of SplitMix64, Steele et al. 2014); sums wrap around."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed
