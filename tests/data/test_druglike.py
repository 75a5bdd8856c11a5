"""All sources in small files made here; the real packages where they are installed."""

import csv
import gzip
import importlib.metadata
import itertools

import msgpack
import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff.chem.arrays import sanitized, to_mol
from moldiff.chem.connectivity import connectivity_key
from moldiff.chem.smiles import canonical_smiles
from moldiff.data import DrugLikeDataModule, smiles_source
from moldiff.data.druglike import druglike_table, source_table
from moldiff.data.exclusion import CROSSDOCKED, excluded_keys, key_lines
from moldiff.data.geom import geom_table
from moldiff.data.parallel import parallel_map
from moldiff.data.smiles_source import moses_file, read_smiles, smiles_table
from moldiff.data.splits import key_split
from moldiff.data.table import MoleculeTable

SMILES = (
    *("CC(=O)Nc1ccc(O)cc1", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", "CC(=O)Oc1ccccc1C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"),
    *("OCC1OC(O)C(O)C(O)C1O", "NCCc1ccc(O)c(O)c1", "CCN(CC)CC(=O)Nc1c(C)cccc1C", "Clc1ccccc1CN1CCOCC1", "CCO"),
    *("CS(=O)(=O)Nc1ccccc1", "O=C(O)c1ccncc1", "Fc1ccc(Br)cc1C#N", "c1ccc2[nH]ccc2c1", "CC(N)Cc1ccccc1"),
)


@pytest.fixture
def smiles_file(tmp_path):
    path = tmp_path / "molecules.csv.gz"
    with gzip.open(path, "wt", newline="") as file:
        csv.writer(file).writerows([("name", "SMILES"), *((str(k), text) for k, text in enumerate(SMILES))])
    return path


def embedded(smiles: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    return mol


def same(a: MoleculeTable, b: MoleculeTable) -> bool:
    names = ("pos", "atom_types", "charges", "bond_types", "ptr", "pair_ptr", "index", "keys")
    return all(getattr(a, name).equal(getattr(b, name)) for name in names) and list(a.smiles) == list(b.smiles)


def test_smiles_become_molecules(smiles_file):
    table = smiles_table(smiles_file, processes=1)
    assert sorted(table.index.tolist()) == [k for k, text in enumerate(SMILES) if text != "CCO"]
    assert table.metadata["left_out"] == {"fewer than 6 heavy atoms": [SMILES.index("CCO")]}
    for k, number in enumerate(table.index.tolist()):
        given = Chem.MolFromSmiles(SMILES[number])
        mol = sanitized(to_mol(table.molecule(k), hydrogens=False))
        assert canonical_smiles(mol) == table.smiles[k] == canonical_smiles(given)
        assert table.keys[k] == connectivity_key(given)


def test_same_molecules_however_many_processes_or_parts(smiles_file, cache, monkeypatch):
    whole = smiles_table(smiles_file, processes=1)
    monkeypatch.setenv("MOLDIFF_CACHE", str(cache / "other"))
    monkeypatch.setattr(smiles_source, "SHARD", 4)
    assert same(smiles_table(smiles_file, processes=2), whole)


def test_other_seeds_choose_others(smiles_file):
    first, second = (smiles_table(smiles_file, 5, seed, processes=1) for seed in (0, 1))
    assert set(first.index.tolist()) != set(second.index.tolist())


def test_stopped_work_goes_on_and_a_larger_choice_adds(smiles_file, monkeypatch):
    monkeypatch.setattr(smiles_source, "SHARD", 4)
    done = []
    work = smiles_source.embedded_or_reason

    def counted(item):
        if len(done) == 6:
            raise KeyboardInterrupt
        done.append(item)
        return work(item)

    monkeypatch.setattr(smiles_source, "embedded_or_reason", counted)
    with pytest.raises(KeyboardInterrupt):
        smiles_table(smiles_file, 8, processes=1)
    monkeypatch.setattr(smiles_source, "embedded_or_reason", lambda item: done.append(item) or work(item))
    part = smiles_table(smiles_file, 8, processes=1)
    assert len(done) == 6 + 4  # the first four are not done again, the two after them are
    done.clear()
    more = smiles_table(smiles_file, 12, processes=1)
    assert len(done) == 4
    assert set(part.index.tolist()) < set(more.index.tolist())
    done.clear()
    assert same(smiles_table(smiles_file, 12, processes=1), more)
    assert done == []


def test_a_file_that_has_changed_is_read_again(tmp_path):
    file = tmp_path / "a.smi"
    for smiles in ("c1ccccc1O", "c1ccccc1N"):
        file.write_text(f"{smiles}\n")
        assert smiles_table(file, processes=1).smiles == [canonical_smiles(Chem.MolFromSmiles(smiles))]


def test_files_of_smiles(tmp_path):
    (tmp_path / "a.smi").write_text("CCO ethanol\n\nCCC propane\n")
    assert read_smiles(tmp_path / "a.smi") == ("CCO", "CCC")
    (tmp_path / "a.csv").write_text("id,smi\n1,CCO\n")
    with pytest.raises(ValueError, match="columns id, smi; expected one called SMILES"):
        read_smiles(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("smiles\n")
    with pytest.raises(ValueError, match="holds no SMILES"):
        read_smiles(tmp_path / "b.csv")


def geom(smiles: str) -> dict:
    """An entry of GEOM's layout: two conformers, atoms in an order of their own, that of lower energy second."""
    mol = embedded(smiles)
    order = np.random.default_rng(0).permutation(mol.GetNumAtoms())
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])[order]
    positions = mol.GetConformer().GetPositions()[order]
    rows = [np.column_stack([numbers, xyz]).tolist() for xyz in (positions + 5.0, positions)]
    energies = (-1.0, -2.0)
    return {"conformers": [{"xyz": xyz, "totalenergy": e} for xyz, e in zip(rows, energies, strict=True)], "charge": 0}


def test_geom(tmp_path):
    path = tmp_path / "drugs_crude.msgpack"
    blocks = [{s: geom(s) for s in SMILES[:2]}, {SMILES[2]: geom(SMILES[2]), "CCCCCCO": geom("CCCCCCN")}]
    path.write_bytes(b"".join(map(msgpack.packb, blocks)))
    table = geom_table(path, processes=1)
    assert list(table.smiles) == [canonical_smiles(Chem.MolFromSmiles(text)) for text in SMILES[:3]]
    assert table.metadata["left_out"] == {"the geometry does not fit the SMILES": [3]}
    heavy = embedded(SMILES[0]).GetConformer().GetPositions()[:11]
    np.testing.assert_allclose(table.molecule(0).positions.mean(0), heavy.mean(0), atol=1e-5)
    assert len(geom_table(path, 2, processes=1)) == 2
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match="cut off or not laid out"):
        geom_table(path, processes=1)


def test_sdf_files_with_and_without_hydrogens(tmp_path):
    mols = [embedded(SMILES[0]), Chem.RemoveHs(embedded(SMILES[0])), embedded("[Na+].CCCCCC(=O)[O-]")]
    (tmp_path / "a.sdf").write_text("".join(Chem.MolToMolBlock(mol) + "$$$$\n" for mol in mols))
    table = source_table(str(tmp_path / "a.sdf"), processes=1)
    assert table.index.tolist() == [0, 1]
    assert table.smiles[0] == table.smiles[1]
    assert table.metadata["left_out"] == {"more than one fragment": [2]}


@pytest.mark.parametrize(("name", "error"), [("a.pickle", ValueError), ("nothing.csv", FileNotFoundError)])
def test_unknown_sources_are_refused(tmp_path, name, error):
    (tmp_path / "a.pickle").touch()
    with pytest.raises(error, match="expected 'ccd', 'moses'"):
        source_table(str(tmp_path / name))


def test_excluded_molecules_and_their_tautomers_are_left_out(tmp_path, smiles_file):
    unwanted = tmp_path / "index.csv"
    unwanted.write_text("id,split,smiles\n1,test,O=C1C=CC(=NC(C)=O)C=C1\n2,train,Clc1ccccc1CN1CCOCC1\n")
    whole = druglike_table([str(smiles_file)], processes=1)
    table = druglike_table([str(smiles_file)], exclude=unwanted, processes=1)
    assert set(whole.smiles) - set(table.smiles) == {"CC(=O)Nc1ccc(O)cc1"}  # a redox form of the first
    about = table.metadata["sources"][str(smiles_file)]
    assert about["left_out"] == {"fewer than 6 heavy atoms": 1, "excluded": 1}
    assert about["num_molecules"] == len(table) == len(SMILES) - 2


def test_lists_of_what_to_exclude(tmp_path):
    (tmp_path / "a.smi").write_text("CCO ethanol\nCCN\n")
    keys = excluded_keys(tmp_path / "a.smi")
    assert sorted(keys) == sorted(connectivity_key(Chem.MolFromSmiles(text)) for text in ("CCO", "CCN"))
    assert [int(line, 16) for line in key_lines(keys).split()] == sorted(keys.view(np.uint64).tolist())
    (tmp_path / "d.csv").write_text("smiles,split\nCCO,Test\nCCN,test \nCCC,train\n")  # as ComplexDataModule reads it
    assert excluded_keys(tmp_path / "d.csv").tolist() == keys.tolist()
    (tmp_path / "b.smi").write_text("CC(C\n")
    with pytest.raises(ValueError, match=r"cannot read the SMILES 'CC\(C'"):
        excluded_keys(tmp_path / "b.smi")
    with pytest.raises(FileNotFoundError, match=CROSSDOCKED):
        excluded_keys(tmp_path / "c.smi")
    assert len(excluded_keys(None)) == 0


def test_ligands_of_the_benchmark_are_excluded():
    keys = excluded_keys(CROSSDOCKED)
    assert len(np.unique(keys)) == len(keys) == 95  # 100 ligands, five of which repeat the skeleton of another
    staurosporine = "CNC1CC2OC(C)(C1OC)n1c3ccccc3c3c4c(c5c6ccccc6n2c5c31)C(=O)NC4"
    assert connectivity_key(Chem.MolFromSmiles(staurosporine)) not in keys


def test_split_keeps_keys_together_whatever_else_there_is():
    keys = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 5000)
    keys = np.concatenate([keys, keys[:2500]])
    split = key_split(keys, 0.1, 0.2, seed=3)
    parts = [keys[part] for part in (split.train, split.val, split.test)]
    assert sorted(np.concatenate([split.train, split.val, split.test])) == list(range(7500))
    assert all(set(a).isdisjoint(b) for a, b in [(parts[0], parts[1]), (parts[0], parts[2]), (parts[1], parts[2])])
    assert [len(set(part)) for part in parts] == pytest.approx([3500, 500, 1000], rel=0.1)
    half = key_split(keys[:1000], 0.1, 0.2, seed=3)
    assert set(keys[:1000][half.test]) == set(keys[:1000]) & set(parts[2])
    other = key_split(keys, 0.1, 0.2, seed=4)
    assert set(keys[other.test]) != set(parts[2])
    with pytest.raises(ValueError, match="leave something for training"):
        key_split(keys, 0.5, 0.5)


def test_data_module(smiles_file, tmp_path):
    (tmp_path / "a.sdf").write_text(Chem.MolToMolBlock(embedded(SMILES[0])) + "$$$$\n")
    data = DrugLikeDataModule(
        [str(smiles_file), str(tmp_path / "a.sdf")], batch_size=4, val_fraction=0.1, test_fraction=0.1, processes=1
    )
    everything = MoleculeTable.concatenate([data.train, data.val, data.test])
    assert len(everything) == len(SMILES)  # one is too small, one comes twice
    assert data.vocabulary.elements == ("C", "N", "O", "S", "P", "F", "Cl", "Br", "I", "B")
    assert set(data.train.keys.tolist()).isdisjoint(data.val.keys.tolist())
    assert sum(len(batch) for batch in data.train_dataloader()) == len(data.train) > 4
    assert set(data.statistics.properties) == {"qed", "logp"}
    with pytest.raises(ValueError, match="expected a list"):
        DrugLikeDataModule("ccd")


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_parallel_results_come_in_order_without_reading_far_ahead(start, monkeypatch):
    monkeypatch.setattr("multiprocessing.get_start_method", lambda *_, **__: start)
    assert list(parallel_map(abs, range(-600, 0), 2)) == list(range(600, 0, -1))
    results = parallel_map(abs, itertools.count(), 2)  # without an end
    assert [next(results) for _ in range(300)] == list(range(300))
    results.close()
    with pytest.raises(ValueError, match="expected at least 1"):
        list(parallel_map(abs, [1], 0))


def installed(name: str) -> bool:
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.skipif(not installed("molsets"), reason="needs molsets")
def test_smiles_of_moses_are_found():
    with gzip.open(moses_file(), "rt") as file:
        assert file.readline().startswith("SMILES")


@pytest.mark.skipif(installed("molsets"), reason="needs an environment without molsets")
def test_missing_moses_says_what_to_install():
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps molsets"):
        moses_file()
