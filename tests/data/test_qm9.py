from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.arrays import sanitized, to_mol
from moldiff.chem.assignment import assign_bonds
from moldiff.chem.smiles import canonical_smiles
from moldiff.data.qm9 import build_table, qm9_table, split_table
from moldiff.data.qm9_datamodule import QM9DataModule
from moldiff.data.qm9_sources import PROPERTIES, Record, qm9pack_folder, read_gdb9, read_qm9pack
from moldiff.data.splits import Split


@pytest.fixture(scope="module")
def records(qm9pack):
    return list(read_qm9pack(qm9pack.folder))


@pytest.fixture(scope="module")
def spread(records):
    return build_table(records, "qm9pack")


def test_bonds_agree_with_the_smiles(spread, qm9pack):
    assert len(spread) == 202
    assert spread.metadata["left_out"] == {}
    assert spread.index.tolist() == qm9pack.index[::650].tolist()
    for i, smiles in enumerate(qm9pack.smiles):
        mol = sanitized(to_mol(spread.molecule(i)))
        expected = Chem.MolToSmiles(Chem.MolFromSmiles(smiles), isomericSmiles=False)
        assert canonical_smiles(mol) == spread.smiles[i] == expected
        assert len(Chem.GetMolFrags(mol)) == 1
        assert not any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())


def test_bonds_are_short_and_others_are_long(spread):
    lengths, gaps = [], []
    for i in range(len(spread)):
        molecule = spread.molecule(i)
        a, b = np.tril_indices(len(molecule), -1)
        distance = np.linalg.norm(molecule.positions[a] - molecule.positions[b], axis=1)
        lengths.append(distance[molecule.bond_orders > 0].max())
        gaps.append(distance[molecule.bond_orders == 0].min(initial=9.0))
    assert max(lengths) < 1.75
    assert np.mean(np.array(gaps) < 1.5) < 0.05  # cages


def test_properties_of_methane(spread):
    assert spread.index[0] == 1
    expected = {
        "mu": 0.0, "alpha": 13.21, "homo": -0.3877 * 27.21139, "lumo": 0.1171 * 27.21139,
        "gap": 0.5048 * 27.21139, "r2": 35.3641, "zpve": 0.044749 * 27.21139, "U0": -40.47893 * 27.21139,
        "U": -40.476062 * 27.21139, "H": -40.475117 * 27.21139, "G": -40.498597 * 27.21139,
        "Cv": 6.469,
    }  # fmt: skip
    assert {name: float(values[0]) for name, values in spread.properties.items()} == pytest.approx(expected, rel=1e-5)


def test_gap_is_lumo_minus_homo(spread):
    difference = spread.properties["lumo"] - spread.properties["homo"]
    np.testing.assert_allclose(spread.properties["gap"], difference, atol=0.006)  # 4 digits in hartree


def write_gdb9(folder: Path, table, uncharacterized: list[int]) -> Path:
    """The molecules of a table in the format of PyG's raw files, and water with a broken bond list under 9999."""
    folder.mkdir()
    columns = [p.gdb9 for p in PROPERTIES.values()]
    lines = [",".join(["mol_id", "A", *columns])]
    blocks = []
    for i, index in enumerate(table.index.tolist()):
        mol = to_mol(table.molecule(i))
        mol.SetProp("_Name", f"gdb_{index}")
        blocks.append(Chem.MolToMolBlock(mol) + "$$$$\n")
        values = [float(table.properties[name][i]) / p.factor for name, p in PROPERTIES.items()]
        lines.append(",".join([f"gdb_{index}", "1.0", *(f"{value:.8f}" for value in values)]))
    (folder / "gdb9.sdf").write_text("".join(blocks))
    (folder / "gdb9.sdf.csv").write_text("\n".join(lines) + "\n")
    text = ["header"] * 9 + [f"   {index}   C    C   0.1" for index in uncharacterized] + ["footer"]
    (folder / "uncharacterized.txt").write_text("\n".join(text) + "\n")
    return folder


@pytest.fixture
def gdb9(tmp_path, spread):
    return write_gdb9(tmp_path / "raw", spread.subset(range(20)), spread.index[[3, 5]].tolist())


def test_gdb9_gives_the_same_molecules(gdb9, spread):
    table = qm9_table(str(gdb9))
    rows = [i for i in range(20) if i not in (3, 5)]
    assert table.index.tolist() == spread.index[rows].tolist()
    assert table.smiles == [spread.smiles[i] for i in rows]
    assert table.metadata["methods"] == {"file": 18}
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(table.molecule(i).bond_orders, spread.molecule(row).bond_orders)
        np.testing.assert_allclose(table.molecule(i).positions, spread.molecule(row).positions, atol=1e-4)
    for name, values in table.properties.items():
        np.testing.assert_allclose(values, spread.properties[name][rows], rtol=1e-5, atol=1e-5)


def test_gdb9_file_itself_and_cache(gdb9, cache):
    assert qm9_table(str(gdb9 / "gdb9.sdf")).smiles == qm9_table(str(gdb9)).smiles
    assert len(list(cache.iterdir())) == 1


def test_gdb9_with_useless_bonds_is_perceived(gdb9, spread):
    blocks = (gdb9 / "gdb9.sdf").read_text().split("$$$$\n")
    blocks[10] = blocks[10].replace("\n  2  1  1  0\n", "\n  2  1  3  0\n")  # a triple bond between its first atoms
    (gdb9 / "gdb9.sdf").write_text("$$$$\n".join(blocks))
    table = qm9_table(str(gdb9))
    assert table.metadata["methods"] == {"file": 17, "perception": 1}
    assert table.smiles[8] == spread.smiles[10]


def test_gdb9_with_missing_files(gdb9):
    (gdb9 / "uncharacterized.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks uncharacterized\.txt"):
        qm9_table(str(gdb9))


def test_gdb9_of_different_lengths(gdb9):
    lines = (gdb9 / "gdb9.sdf.csv").read_text().splitlines()
    (gdb9 / "gdb9.sdf.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(ValueError, match="shorter"):
        list(read_gdb9(gdb9))


def test_molecules_without_explanation_are_left_out_of_their_split(records):
    far_apart = partial(assign_bonds, "O", np.array([8, 1, 1]), np.diag([1.0, 5.0, 10.0]))
    some = [*records[:5], Record(records[5].index, records[0].properties, far_apart), *records[6:10]]
    table = build_table(some, "test")
    assert table.metadata["left_out"] == {"no bonds that RDKit accepts": [records[5].index]}
    splits = split_table(table, Split(np.array([9, 5, 0]), np.array([1, 2, 3, 4]), np.array([6, 7, 8])))
    assert splits.train.index.tolist() == [records[9].index, records[0].index]
    assert splits.val.index.tolist() == [record.index for record in records[1:5]]
    assert splits.test.index.tolist() == [record.index for record in records[6:9]]


def test_data_module(gdb9):
    data = QM9DataModule(source=str(gdb9), split="random", batch_size=4, seed=1)
    assert [len(part) for part in (data.train, data.val, data.test)] == [14, 2, 2]
    assert data.statistics.properties["gap"].std > 0
    assert sum(len(batch) for batch in data.train_dataloader()) == 14
    first, second = (QM9DataModule(source=str(gdb9), split="random", seed=1, half=half) for half in ("first", "second"))
    assert sorted([*first.train.index, *second.train.index]) == sorted(data.train.index)
    assert first.test.index.tolist() == data.test.index.tolist()
    batch = data.train.batch([3, 0])
    assert batch.properties["gap"].tolist() == pytest.approx(data.train.properties["gap"][[3, 0]].tolist())
    with pytest.raises(ValueError, match="expected 'first', 'second' or null"):
        QM9DataModule(half="third")
    with pytest.raises(ValueError, match="split='random'"):
        QM9DataModule(source=str(gdb9)).setup()
    with pytest.raises(ValueError, match="'edm' or 'random'"):
        QM9DataModule(split="egnn")


def test_qm9pack_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'moldiff\[qm9\]'"):
        qm9pack_folder()
