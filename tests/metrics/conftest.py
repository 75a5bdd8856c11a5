"""Molecules to score: real ones, and what a generator made of QM9."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff.chem.arrays import MoleculeArrays


@pytest.fixture(scope="session")
def embed() -> Callable[[str], Chem.Mol]:
    """Makes a molecule with explicit hydrogens, Kekulé bonds and 3D coordinates from SMILES."""

    def build(smiles: str) -> Chem.Mol:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        AllChem.EmbedMolecule(mol, randomSeed=1)
        AllChem.MMFFOptimizeMolecule(mol)
        Chem.Kekulize(mol, clearAromaticFlags=True)
        return mol

    return build


@pytest.fixture(scope="session")
def read_samples() -> Callable[[Path], list[MoleculeArrays]]:
    """Reads molecules without bonds from an .npz file: positions (A, 3), atomic_numbers (A,), num_atoms (M,)."""

    def read(path: Path) -> list[MoleculeArrays]:
        with np.load(path) as arrays:
            sizes = arrays["num_atoms"].astype(np.int64)
            cuts = np.cumsum(sizes)[:-1]
            numbers = np.split(arrays["atomic_numbers"].astype(np.int64), cuts)
            positions = np.split(arrays["positions"].astype(np.float64), cuts)
        return [MoleculeArrays(z, x, np.zeros_like(z)) for z, x in zip(numbers, positions, strict=True)]

    return read


@pytest.fixture(scope="session")
def samples(read_samples: Callable[[Path], list[MoleculeArrays]]) -> list[MoleculeArrays]:
    """500 molecules that G-SchNet (Gebauer et al. 2019) generated after QM9: every twentieth of 10,000."""
    return read_samples(Path(__file__).parents[1] / "fixtures" / "gschnet_500.npz")
