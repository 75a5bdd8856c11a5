"""Bonds from coordinates."""

from collections.abc import Callable

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.perception import perceive_bonds

Embed = Callable[[str], Chem.Mol]
SMILES = [
    "c1ccccc1",
    "C#N",
    "CC(=O)N",
    "C1C2CC1C2",
    "O=C=O",
    "CCO",
    "FC(F)F",
    "C[N+](C)(C)CC([O-])=O",
    "O",
    "c1cc[nH]c1",
]


def bare(mol: Chem.Mol) -> tuple[list[int], np.ndarray]:
    return [atom.GetAtomicNum() for atom in mol.GetAtoms()], mol.GetConformer().GetPositions()


@pytest.mark.parametrize("smiles", SMILES)
def test_finds_the_molecule_again(smiles: str, embed: Embed) -> None:
    found = perceive_bonds(*bare(embed(smiles)))
    assert found is not None
    assert Chem.MolToSmiles(Chem.RemoveHs(found), isomericSmiles=False) == Chem.CanonSmiles(smiles, useChiral=0)
    kinds = {bond.GetBondType() for bond in found.GetBonds()}
    assert kinds <= {Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE}
    assert all(atom.GetNoImplicit() for atom in found.GetAtoms())


def test_turning_and_moving_changes_nothing(embed: Embed) -> None:
    numbers, positions = bare(embed("CC(=O)N"))
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    first, second = perceive_bonds(numbers, positions), perceive_bonds(numbers, positions @ rotation + 5.0)
    assert first is not None
    assert second is not None
    assert Chem.MolToSmiles(first) == Chem.MolToSmiles(second)


@pytest.mark.parametrize(
    ("numbers", "positions"),
    [
        ([], np.zeros((0, 3))),
        ([6, 1], np.array([[0.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])),
        ([0, 1], np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])),
        ([6, 1], np.array([[0.0, 0.0, 0.0], [1.09, 0.0, 0.0]])),  # CH needs a charge or unpaired electrons
    ],
)
def test_gives_up(numbers: list[int], positions: np.ndarray) -> None:
    assert perceive_bonds(numbers, positions) is None


def test_two_molecules_are_two_fragments(embed: Embed) -> None:
    numbers, positions = bare(embed("O"))
    pair = perceive_bonds(numbers * 2, np.concatenate([positions, positions + 6.0]))
    assert pair is not None
    assert len(Chem.GetMolFrags(pair)) == 2
