"""A crystal structure: the inhibitor STC in the pocket of AmpC β-lactamase (PDB 1L2S), heavy atoms within 10 Å."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.files import read_molecules
from moldiff.metrics.pocket import Protein, read_protein

COMPLEX = Path(__file__).parents[2] / "fixtures" / "1l2s"


@pytest.fixture(scope="session")
def complex_folder() -> Path:
    return COMPLEX


@pytest.fixture(scope="session")
def protein() -> Protein:
    return read_protein(COMPLEX / "pocket.pdb")


@pytest.fixture
def ligand() -> Chem.Mol:
    """As read from a file: heavy atoms, not sanitized."""
    (mol,) = read_molecules(COMPLEX / "ligand.sdf")
    return mol


@pytest.fixture
def moved(ligand):
    """The ligand, moved by a vector in Å."""

    def move(x: float, y: float, z: float) -> Chem.Mol:
        mol = Chem.Mol(ligand)
        conformer = mol.GetConformer()
        conformer.SetPositions(conformer.GetPositions() + np.array([x, y, z]))
        return mol

    return move
