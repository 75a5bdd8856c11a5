"""What counts as one whole molecule."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.arrays import from_mol
from moldiff.chem.whole import is_whole, whole_mol


@pytest.mark.parametrize(
    ("smiles", "whole"),
    [("CCO", True), ("C[N+](C)(C)CC(=O)[O-]", True), ("CCO.O", False), ("[CH3]", False), ("C[O]", False)],
)
def test_one_piece_without_radicals(smiles: str, whole: bool) -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    mol.AddConformer(Chem.Conformer(mol.GetNumAtoms()))
    arrays = from_mol(mol)
    assert is_whole(arrays) is whole
    found = whole_mol(arrays)
    assert (found is not None) is whole
    if found is not None:
        assert Chem.MolToSmiles(Chem.RemoveHs(found)) == Chem.CanonSmiles(smiles)


def test_places_must_be_numbers_and_valences_possible(embed: Callable[[str], Chem.Mol]) -> None:
    arrays = from_mol(embed("CO"))
    positions = arrays.positions.copy()
    positions[-1, 2] = np.nan
    assert is_whole(arrays)
    assert not is_whole(replace(arrays, positions=positions))
    assert not is_whole(replace(arrays, bond_orders=np.full_like(arrays.bond_orders, 3)))


def test_without_hydrogens_they_are_implicit(embed: Callable[[str], Chem.Mol]) -> None:
    arrays = from_mol(embed("CO"), hydrogens=False)
    assert len(arrays) == 2
    assert is_whole(arrays, hydrogens=False)
    assert not is_whole(arrays)  # with all atoms drawn, these are radicals
