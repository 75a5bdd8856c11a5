import numpy as np
import pytest
import torch

from moldiff.chem.arrays import MoleculeArrays, from_mol, sanitized, to_mol
from moldiff.chem.files import read_molecules
from moldiff.chem.smiles import canonical_smiles
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.table import MoleculeTable
from moldiff.data.tensor_file import TableFileError


def unpadded(batch: MolBatch, row: int, vocabulary: Vocabulary) -> MoleculeArrays:
    n = int(batch.num_atoms[row])
    return MoleculeArrays(
        np.array(vocabulary.atomic_numbers)[batch.atom_types[row, :n]],
        batch.pos[row, :n].double().numpy(),
        np.array(vocabulary.charges)[batch.charges[row, :n]],
        batch.bond_types[row, : n * (n - 1) // 2].numpy(),
    )


def assert_same(first: MoleculeArrays, second: MoleculeArrays, atol: float = 0.0) -> None:
    np.testing.assert_array_equal(first.atomic_numbers, second.atomic_numbers)
    np.testing.assert_array_equal(first.charges, second.charges)
    np.testing.assert_array_equal(first.bond_orders, second.bond_orders)
    np.testing.assert_allclose(first.positions, second.positions, atol=atol, rtol=0)


def test_table_holds_the_molecules_it_was_made_from(table, qm9_sdf):
    for i, mol in enumerate(read_molecules(qm9_sdf)):
        assert_same(table.molecule(i), from_mol(mol), atol=1e-6)


def test_batch_and_back(table):
    indices = np.random.default_rng(0).permutation(len(table))[:64].tolist()
    batch = table.batch(indices)
    for row, i in enumerate(indices):
        assert_same(unpadded(batch, row, table.vocabulary), table.molecule(i))


def test_batch_is_padded_at_the_end_with_zeros(table):
    batch = table.batch(range(50))
    sizes = table.sizes[:50]
    assert batch.pos.dtype == torch.float32
    assert batch.pos.shape == (50, sizes.max(), 3)
    assert batch.bond_types.shape == (50, sizes.max() * (sizes.max() - 1) // 2)
    assert torch.equal(batch.mask, torch.arange(sizes.max()) < sizes[:, None])
    for field in ("pos", "atom_types", "charges", "bond_types"):
        assert not getattr(batch, field)[~batch.mask_of(field)].any()


def test_batches_of_one_atom_and_of_nothing():
    atom = MoleculeArrays(np.array([10]), np.zeros((1, 3)), np.array([0]), np.zeros(0, dtype=np.int8))
    table = MoleculeTable.from_arrays([atom])
    assert table.batch([0, 0]).bond_types.shape == (2, 0)
    assert len(table.batch([])) == 0
    assert table.vocabulary == Vocabulary(("Ne",), (0,))


def test_subset_keeps_order_and_everything_else(table):
    indices = [7, 3, 3, 150]
    subset = table.subset(indices)
    assert subset.index.tolist() == table.index[indices].tolist()
    assert subset.smiles == [table.smiles[i] for i in indices]
    assert subset.vocabulary == table.vocabulary
    for row, i in enumerate(indices):
        assert_same(subset.molecule(row), table.molecule(i))
    assert len(table.subset([])) == 0


def test_smiles_are_those_of_the_bonds(table):
    for i in range(len(table)):
        assert canonical_smiles(sanitized(to_mol(table.molecule(i)))) == table.smiles[i]


def test_pyg_data(table):
    data = table.data(-1)
    molecule = table.molecule(len(table) - 1)
    assert data.num_nodes == len(molecule)
    assert data.num_edges == 2 * np.count_nonzero(molecule.bond_orders)
    assert data.is_undirected()
    assert data.smiles == table.smiles[-1]
    assert data.edge_attr.sum() == 2 * molecule.bond_orders.sum()


def test_save_and_load(table, tmp_path):
    table = MoleculeTable.from_arrays(
        [table.molecule(i) for i in range(20)],
        index=range(5, 25),
        properties={"gap": np.linspace(1, 2, 20)},
        smiles=table.smiles[:20],
        metadata={"source": "test"},
    )
    table.save(tmp_path / "folder" / "t.safetensors")
    again = MoleculeTable.load(tmp_path / "folder" / "t.safetensors")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["t.safetensors"]
    assert (again.vocabulary, again.smiles, again.metadata) == (table.vocabulary, table.smiles, table.metadata)
    assert torch.equal(again.index, table.index)
    assert torch.equal(again.properties["gap"], table.properties["gap"])
    for i in range(20):
        assert_same(again.molecule(i), table.molecule(i))


@pytest.mark.parametrize("damage", ["cut", "bit", "text"])
def test_damaged_files_are_refused(table, tmp_path, damage):
    path = tmp_path / "t.safetensors"
    table.save(path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes({"cut": content[:-1000], "bit": content, "text": b"not a table"}[damage])
    with pytest.raises(TableFileError, match=r"delete it"):
        MoleculeTable.load(path)


def test_errors(table, tmp_path):
    with pytest.raises(FileNotFoundError, match="no molecule table"):
        MoleculeTable.load(tmp_path / "missing")
    with pytest.raises(ValueError, match="at least one"):
        MoleculeTable.from_arrays([])
    with pytest.raises(ValueError, match="atomic number 6"):
        MoleculeTable.from_arrays([table.molecule(0)], vocabulary=Vocabulary(("H", "O")))
    bare = MoleculeArrays(np.array([1, 1]), np.eye(2, 3), np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="without bonds"):
        MoleculeTable.from_arrays([bare])


def test_concatenated_tables_are_the_molecules_one_after_another(table):
    parts = [table.subset(range(50)), table.subset([]), table.subset(range(50, 200))]
    whole = MoleculeTable.concatenate(parts, {"about": "parts"})
    assert whole.metadata == {"about": "parts"}
    for name in ("pos", "atom_types", "charges", "bond_types", "ptr", "pair_ptr", "index"):
        assert getattr(whole, name).equal(getattr(table, name))
    assert list(whole.smiles) == list(table.smiles)
    with pytest.raises(ValueError, match="one vocabulary"):
        MoleculeTable.concatenate([])


def test_keys_are_kept(table, tmp_path):
    molecules = [table.molecule(k) for k in range(4)]
    keys = [3, -(2**63), 2**63 - 1, 0]
    keyed = MoleculeTable.from_arrays(molecules, keys=keys)
    keyed.save(tmp_path / "a.safetensors")
    again = MoleculeTable.load(tmp_path / "a.safetensors")
    assert again.keys.tolist() == keys
    assert again.subset([2, 0]).keys.tolist() == [keys[2], keys[0]]
    assert MoleculeTable.concatenate([keyed, again]).keys.tolist() == keys * 2
    unkeyed = MoleculeTable.from_arrays(molecules, vocabulary=keyed.vocabulary)
    assert len(MoleculeTable.concatenate([keyed, unkeyed]).keys) == 0


def test_table_of_no_molecules(table, tmp_path):
    empty = MoleculeTable.from_arrays([], vocabulary=table.vocabulary)
    empty.save(tmp_path / "empty.safetensors")
    assert len(MoleculeTable.load(tmp_path / "empty.safetensors")) == 0
    assert len(MoleculeTable.concatenate([empty, empty])) == 0
    with pytest.raises(ValueError, match="no molecules"):
        MoleculeTable.from_arrays([])
