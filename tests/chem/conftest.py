"""Molecules to read, write and draw."""

from collections.abc import Callable

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem


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
