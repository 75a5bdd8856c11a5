import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff.chem.arrays import MoleculeArrays, from_mol, pair_indices, sanitized, to_mol


def embedded(smiles: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    return mol


def test_pairs_come_in_an_order_that_further_atoms_keep():
    i, j = pair_indices(5)
    assert list(zip(i.tolist(), j.tolist(), strict=True))[:4] == [(1, 0), (2, 0), (2, 1), (3, 0)]
    np.testing.assert_array_equal(i * (i - 1) // 2 + j, np.arange(10))
    assert [side[:10].tolist() for side in pair_indices(9)] == [i.tolist(), j.tolist()]
    assert len(pair_indices(1)[0]) == len(pair_indices(0)[0]) == 0


@pytest.mark.parametrize("smiles", ["C", "c1cc[nH]c1", "C[N+](C)(C)CC(=O)[O-]", "C#C.[Na+].[Cl-]", "[He]"])
def test_molecule_and_back(smiles):
    mol = embedded(smiles)
    arrays = from_mol(mol)
    again = from_mol(to_mol(arrays))
    for name in ("atomic_numbers", "positions", "charges", "bond_orders"):
        np.testing.assert_array_equal(getattr(again, name), getattr(arrays, name))
    assert Chem.MolToSmiles(Chem.RemoveHs(sanitized(to_mol(arrays)))) == Chem.MolToSmiles(Chem.MolFromSmiles(smiles))


def test_from_mol_does_not_change_the_molecule():
    mol = embedded("c1ccccc1")
    before = mol.ToBinary()
    assert sorted(from_mol(mol).bond_orders[from_mol(mol).bond_orders > 0].tolist()) == [1] * 9 + [2] * 3
    assert mol.ToBinary() == before


@pytest.mark.parametrize("smiles", ["C", "c1cc[nH]c1", "C[N+](C)(C)CC(=O)[O-]", "CP(=O)(O)O", "CS(=O)(=O)NB(O)O"])
def test_heavy_atoms_alone_and_back(smiles):
    """Hydrogens as atoms or implicit ones: the same heavy atoms, and hydrogens come back by valence."""
    whole = embedded(smiles)
    arrays = from_mol(whole, hydrogens=False)
    heavy = whole.GetNumHeavyAtoms()
    assert len(arrays) == heavy
    np.testing.assert_array_equal(arrays.positions, whole.GetConformer().GetPositions()[:heavy])
    other = from_mol(Chem.RemoveHs(whole), hydrogens=False)
    for name in ("atomic_numbers", "positions", "charges"):
        np.testing.assert_array_equal(getattr(other, name), getattr(arrays, name))
    mol = to_mol(arrays, hydrogens=False)
    assert Chem.MolToSmiles(sanitized(mol)) == Chem.MolToSmiles(Chem.MolFromSmiles(smiles))
    assert sum(atom.GetTotalNumHs() for atom in mol.GetAtoms()) == whole.GetNumAtoms() - heavy


def test_bonds_stay_with_their_atoms_when_hydrogens_stand_between_them():
    whole = embedded("N#CC=O")
    order = [4, 0, 1, 2, 3]  # the hydrogen first
    arrays = from_mol(Chem.RenumberAtoms(whole, order), hydrogens=False)
    np.testing.assert_array_equal(arrays.bond_orders, [3, 0, 1, 0, 0, 2])
    assert arrays.atomic_numbers.tolist() == [7, 6, 6, 8]


def test_heavy_atom_errors():
    with pytest.raises(ValueError, match="2 hydrogens; expected heavy atoms"):
        from_mol(embedded("[H][H]"), hydrogens=False)
    with pytest.raises(ValueError, match="without hydrogens and without bonds"):
        to_mol(MoleculeArrays(np.array([6]), np.zeros((1, 3)), np.array([0])), hydrogens=False)


def test_bad_molecules_are_built_as_given():
    orders = np.array([3, 3, 3], dtype=np.int8)
    mol = to_mol(MoleculeArrays(np.array([1, 8, 9]), np.eye(3), np.zeros(3, dtype=np.int64), orders))
    assert [bond.GetBondTypeAsDouble() for bond in mol.GetBonds()] == [3.0, 3.0, 3.0]
    assert sanitized(mol) is None
    carbon = to_mol(MoleculeArrays(np.array([6]), np.zeros((1, 3)), np.array([0]), np.zeros(0, dtype=np.int8)))
    assert sanitized(carbon).GetAtomWithIdx(0).GetNumRadicalElectrons() == 4  # no hydrogens are added silently


def test_unknown_bonds_are_perceived():
    truth = from_mol(embedded("CC=O"))
    perceived = to_mol(MoleculeArrays(truth.atomic_numbers, truth.positions, truth.charges))
    assert Chem.MolToSmiles(Chem.RemoveHs(perceived)) == "CC=O"


@pytest.mark.parametrize(
    ("mol", "message"),
    [
        (Chem.Mol(), "without atoms"),
        (Chem.MolFromSmiles("C"), "3D coordinates"),
        (Chem.RemoveHs(embedded("CO")), "4 implicit hydrogens"),
        (embedded("C[*]"), "dummy"),
    ],
)
def test_from_mol_errors(mol, message):
    with pytest.raises(ValueError, match=message):
        from_mol(mol)


def test_unknown_kinds_of_bonds():
    mol = Chem.RWMol(embedded("CC"))
    mol.GetBondBetweenAtoms(0, 1).SetBondType(Chem.BondType.QUADRUPLE)
    with pytest.raises(ValueError, match="QUADRUPLE"):
        from_mol(mol)
    with pytest.raises(ValueError, match="bond order 4"):
        to_mol(MoleculeArrays(np.array([6, 6]), np.eye(2, 3), np.array([0, 0]), np.array([4], dtype=np.int8)))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"bond_orders: got shape \(2,\); expected \(3,\) for 3 atoms"):
        MoleculeArrays(np.ones(3, dtype=np.int64), np.eye(3), np.zeros(3, dtype=np.int64), np.zeros(2, dtype=np.int8))
