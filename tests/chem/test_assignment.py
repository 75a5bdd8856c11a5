import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff.chem.arrays import from_mol, sanitized, to_mol
from moldiff.chem.assignment import UnexplainedBondsError, assign_bonds, check_bonds
from moldiff.chem.smiles import canonical_smiles

SMILES = [
    "O", "N#N", "CC(=O)O", "c1ccc2[nH]ccc2c1", "C[N+](C)(C)CC(=O)[O-]", "O=[N+]([O-])C1=CNN=C1", "C12C3C4C1C5C2C3C45",
    "FC(F)(F)C#C", "[N-]=[N+]=NCC", "C1C2CC1C2", "CC(C)=C=C",
]  # fmt: skip


def embedded(smiles: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=7) == 0
    AllChem.UFFOptimizeMolecule(mol)
    return mol


def smiles_of(arrays) -> str:
    return canonical_smiles(sanitized(to_mol(arrays)))


@pytest.mark.parametrize("smiles", SMILES)
def test_order_of_the_smiles_is_recognised(smiles):
    truth = from_mol(embedded(smiles))
    found = assign_bonds(smiles, truth.atomic_numbers, truth.positions)
    assert found.method == "order"
    np.testing.assert_array_equal(found.molecule.bond_orders, truth.bond_orders)
    np.testing.assert_array_equal(found.molecule.charges, truth.charges)


@pytest.mark.parametrize("smiles", SMILES[2:])
@pytest.mark.parametrize("seed", range(3))
def test_any_other_order_is_matched(smiles, seed):
    truth = from_mol(embedded(smiles))
    order = np.random.default_rng(seed).permutation(len(truth))
    found = assign_bonds(smiles, truth.atomic_numbers[order], truth.positions[order])
    assert found.method == "isomorphism"
    assert smiles_of(found.molecule) == found.smiles == canonical_smiles(Chem.MolFromSmiles(smiles))
    np.testing.assert_array_equal(found.molecule.positions, truth.positions[order])


@pytest.mark.parametrize("wrong", ["CCO", "COC", "C", "not a smiles"])
def test_wrong_smiles_leads_to_perception(wrong):
    truth = from_mol(embedded("CC=O"))
    found = assign_bonds(wrong, truth.atomic_numbers, truth.positions)
    assert (found.method, found.smiles) == ("perception", "CC=O")


def test_double_bond_goes_where_the_short_bond_is():
    truth = from_mol(embedded("CC(=O)O"))
    order = [0, 1, 3, 2, *range(4, 8)]  # oxygens exchanged; the hydrogen tells which is which
    found = assign_bonds("CC(=O)O", truth.atomic_numbers[order], truth.positions[order])
    assert smiles_of(found.molecule) == "CC(=O)O"
    assert found.molecule.bond_orders[3 * 2 // 2 + 1] == 2  # pair (3, 1): the old third atom is now the fourth


def test_atoms_that_are_far_apart():
    with pytest.raises(UnexplainedBondsError, match="no bonds that RDKit accepts"):
        assign_bonds("O", np.array([8, 1, 1]), np.diag([1.0, 5.0, 10.0]))


def test_two_molecules_in_one():
    methane = from_mol(embedded("C"))
    numbers = np.concatenate([methane.atomic_numbers] * 2)
    with pytest.raises(UnexplainedBondsError, match="more than one fragment"):
        assign_bonds("CC", numbers, np.concatenate([methane.positions, methane.positions + 10.0]))


def test_bonds_of_a_file_are_kept_or_replaced():
    mol = embedded("O=CC1CC1")
    assert check_bonds(mol).method == "file"
    assert check_bonds(mol).smiles == "O=CC1CC1"
    broken = Chem.RWMol(mol)
    broken.GetBondBetweenAtoms(0, 1).SetBondType(Chem.BondType.SINGLE)  # a diradical
    for atom in broken.GetAtoms():
        atom.SetNoImplicit(True)
    assert (check_bonds(broken).method, check_bonds(broken).smiles) == ("perception", "O=CC1CC1")
    with pytest.raises(UnexplainedBondsError, match="cannot read"):
        check_bonds(None)


def test_canonical_smiles_ignores_stereo_and_hydrogens():
    mol = Chem.AddHs(Chem.MolFromSmiles("C/C=N/[H]"))
    assert canonical_smiles(mol) == "CC=N"
    assert canonical_smiles(Chem.AddHs(Chem.MolFromSmiles("C[C@H](F)O"))) == "CC(O)F"
