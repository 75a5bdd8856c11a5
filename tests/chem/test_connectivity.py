import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.connectivity import connectivity_key, scatter_bits

PAIRS = {
    "tautomers": ("Oc1ccccn1", "O=c1cccc[nH]1"),
    "protonation states": ("CC(N)C(=O)O", "CC([NH3+])C(=O)[O-]"),
    "stereoisomers": ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),
    "redox forms": ("O=C1C=CC(=O)C=C1", "Oc1ccc(O)cc1"),
}
ALL_DIFFERENT = (
    *("CCCO", "CCOC", "CC(C)O", "CCCN", "CCCCO", "C1CCO1"),
    *("C1CCC2CCCCC2C1", "C1CCC(C1)C1CCCC1"),  # decalin and bicyclopentyl: alike atom by atom, bond by bond
    *("Cc1ccccc1C", "Cc1cccc(C)c1", "Cc1ccc(C)cc1", "Cc1ccncc1C"),
)


def key(smiles: str) -> int:
    return connectivity_key(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_molecules_of_one_skeleton_share_a_key(pair):
    assert key(pair[0]) == key(pair[1])


def test_other_skeletons_have_other_keys():
    assert len({key(smiles) for smiles in ALL_DIFFERENT}) == len(ALL_DIFFERENT)


def test_order_and_hydrogens_do_not_matter():
    mol = Chem.MolFromSmiles("CC(=O)Nc1ccc(O)c(Cl)c1")
    rng = np.random.default_rng(0)
    for _ in range(5):
        shuffled = Chem.RenumberAtoms(mol, rng.permutation(mol.GetNumAtoms()).tolist())
        assert connectivity_key(shuffled) == connectivity_key(Chem.AddHs(shuffled)) == connectivity_key(mol)


def test_keys_stay_what_they_are():
    """Keys are shipped in files, so they must not change from release to release."""
    assert key("CC(=O)Nc1ccc(O)cc1") == -1912714130094710476


def test_bits_are_scattered_as_by_splitmix64():
    """The first outputs of the generator with seed 1234567, as published with it."""
    states = np.uint64(1234567) + np.arange(3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert scatter_bits(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
