import csv
import dataclasses
import logging
import shutil

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from rdkit import Chem

import moldiff.data.complexes as complexes
from moldiff.chem.arrays import from_mol
from moldiff.chem.files import read_molecules
from moldiff.chem.pocket import select_pocket
from moldiff.chem.protein_files import read_pocket
from moldiff.chem.vocabulary import DRUG_VOCABULARY
from moldiff.data.complex_datamodule import ComplexDataModule
from moldiff.data.pocket_batch import ComplexBatch
from moldiff.data.statistics import Statistics


@pytest.fixture(scope="session")
def fixture_folder(root):
    return root / "tests" / "fixtures" / "pockets"


@pytest.fixture
def folder(fixture_folder, tmp_path):
    """A copy to change."""
    return shutil.copytree(fixture_folder, tmp_path / "pockets")


def rewrite(folder, change):
    """Write index.csv with changed rows."""
    rows = [row for row in map(change, complexes.read_index(folder)) if row]
    with open(folder / "index.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def ligand(folder, name):
    (mol,) = read_molecules(folder / "complexes" / name / "ligand.sdf")
    return from_mol(mol, hydrogens=False)


@pytest.mark.parametrize("level", ["atom", "residue"])
@pytest.mark.parametrize("radius", [10.0, 5.0])
def test_batches_equal_the_files(fixture_folder, level, radius):
    data = ComplexDataModule(fixture_folder, level=level, radius=radius, batch_size=2)
    ids = [row["id"] for row in complexes.read_index(fixture_folder)]
    seen = 0
    for table, loader in ((data.train, data.train_dataloader()), (data.val, data.val_dataloader())):
        for batch in loader:
            assert isinstance(batch, ComplexBatch)
            assert batch.pocket.level == level
            for row in range(len(batch)):
                n = int(batch.molecules.num_atoms[row])
                (name,) = (ids[i] for i, size in zip(table.index, table.sizes, strict=True) if size == n)
                arrays = ligand(fixture_folder, name)
                torch.testing.assert_close(batch.molecules.pos[row, :n], torch.tensor(arrays.positions).float())
                elements = DRUG_VOCABULARY.element_index(arrays.atomic_numbers)
                assert batch.molecules.atom_types[row, :n].tolist() == elements.tolist()
                pocket = read_pocket(fixture_folder / "complexes" / name / "pocket.pdb")
                pocket = select_pocket(pocket, arrays.positions, radius=radius)
                points = pocket.positions if level == "atom" else pocket.residue_positions()
                mask = batch.pocket.mask[row]
                torch.testing.assert_close(batch.pocket.pos[row, mask], torch.tensor(points).float())
                seen += 1
    assert seen == 3


def test_split_vocabulary_and_statistics(fixture_folder):
    data = ComplexDataModule(fixture_folder)
    assert [len(part) for part in (data.train, data.val, data.test)] == [2, 1, 1]
    assert data.vocabulary == DRUG_VOCABULARY
    statistics = data.statistics
    assert dataclasses.replace(statistics, pocket_sizes=None) == Statistics.of(data.train)
    assert statistics.pocket_sizes is not None
    assert statistics.sizes == {9: 1, 19: 1}
    assert data.train.smiles == ["N=C(N)c1ccccc1", "Oc1cc(C2CCNC(Cc3ccccc3)C2)on1"]
    heavy = Chem.MolFromSmiles(".".join(data.train.smiles))
    symbols = [atom.GetSymbol() for atom in heavy.GetAtoms()]
    expected = [symbols.count(symbol) / len(symbols) for symbol in DRUG_VOCABULARY.elements]
    np.testing.assert_allclose(statistics.atom_types, expected, atol=1e-6)
    assert statistics.position_std < 4.0  # about the ligand's centre, wherever that is
    assert data.train.pos.abs().max() > 10.0  # not centred


def test_random_split_without_the_column(folder):
    rewrite(folder, lambda row: {"id": row["id"]})
    data = ComplexDataModule(folder, val_fraction=0.25, test_fraction=0.25, seed=3)
    parts = [part.index.tolist() for part in (data.train, data.val, data.test)]
    assert [len(part) for part in parts] == [2, 1, 1]
    assert sorted(k for part in parts for k in part) == [0, 1, 2, 3]
    again = ComplexDataModule(folder, val_fraction=0.25, test_fraction=0.25, seed=3)
    assert again.train.index.tolist() == parts[0]


def test_read_once(fixture_folder, monkeypatch):
    calls = []
    real = complexes.read_pocket
    monkeypatch.setattr(complexes, "read_pocket", lambda path: calls.append(path) or real(path))
    first = ComplexDataModule(fixture_folder).pockets
    assert len(calls) == 4
    second = ComplexDataModule(fixture_folder).pockets
    assert len(calls) == 4
    assert torch.equal(first.pos, second.pos)
    ComplexDataModule(fixture_folder, level="residue").setup()
    assert len(calls) == 8


def test_changed_files_are_read_again(folder):
    before = ComplexDataModule(folder).train.pos
    path = folder / "complexes" / "2ayw_ben" / "ligand.sdf"
    path.write_text(path.read_text().replace("2ayw_ben", "another title"))
    shutil.copy(folder / "complexes" / "4cik_xo3" / "ligand.sdf", path.parent)
    shutil.copy(folder / "complexes" / "4cik_xo3" / "pocket.pdb", path.parent)
    assert len(ComplexDataModule(folder).train.pos) != len(before)


def test_what_cannot_be_used_is_left_out(folder, caplog):
    complex_folder = folder / "complexes"
    (complex_folder / "4cik_xo3" / "ligand.sdf").unlink()
    pocket = complex_folder / "2gns_stl" / "pocket.pdb"
    pocket.write_text(pocket.read_text()[:100])
    shutil.copy(complex_folder / "1tfq_998" / "pocket.pdb", complex_folder / "2ayw_ben")
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="training split"):
            ComplexDataModule(folder).setup()
        assert "3 of 4 records were left out" in caplog.text
        assert "ligand.sdf: no such file (4cik_xo3 record 2)" in caplog.text
        assert "cut off" in caplog.text
        assert "No protein atom is within 10 Å" in caplog.text


def test_elements_beyond_the_vocabulary_are_left_out(folder, caplog):
    path = folder / "complexes" / "4cik_xo3" / "ligand.sdf"
    path.write_text(path.read_text().replace(" O   0", " Se  0"))
    with caplog.at_level(logging.WARNING):
        assert ComplexDataModule(folder).train.index.tolist() == [0]
    assert "atomic number 34" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: {"name": row["id"]}, "expected an 'id'"),
        (lambda row: {**row, "id": "../up"}, r"line 2: got id '\.\./up'"),
        (lambda row: {**row, "id": "same"}, r"line 3: got id 'same'"),
        (lambda row: {**row, "split": "train" if row["id"] == "2ayw_ben" else ""}, "in every row"),
        (lambda row: {**row, "split": "test"}, "train at least once"),
        (lambda row: {**row, "split": "holdout"}, "'holdout'"),
    ],
)
def test_bad_indices(folder, change, message):
    rows = [change(row) for row in complexes.read_index(folder)]
    with open(folder / "index.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(ValueError, match=message):
        ComplexDataModule(folder).setup()


def test_missing_index(tmp_path):
    with pytest.raises(FileNotFoundError, match="prepare-pocket"):
        ComplexDataModule(tmp_path).setup()


def test_complexes_per_cluster(folder):
    rewrite(folder, lambda row: {"id": row["id"], "split": "train", "cluster": "ab"[row["id"] == "1tfq_998"]})
    data = ComplexDataModule(folder, batch_size=1, per_cluster=1)
    loader = data.train_dataloader()
    seen = set()
    for epoch in range(20):
        loader.batch_sampler.set_epoch(epoch)
        sizes = [int(batch.molecules.num_atoms) for batch in loader]
        assert len(sizes) == len(loader) == 2
        assert 32 in sizes  # the one of its cluster
        seen |= set(sizes)
    assert seen == {9, 17, 19, 32}  # the others take turns
    with pytest.raises(ValueError, match="per_cluster=0"):
        ComplexDataModule(folder, per_cluster=0)
    rewrite(folder, lambda row: {"id": row["id"], "split": "train"})
    assert len(ComplexDataModule(folder, batch_size=1, per_cluster=1).train_dataloader()) == 4  # all of their own


@pytest.mark.filterwarnings("ignore")
def test_lightning_moves_the_batches(fixture_folder):
    class Seen(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.weight, self.batches = torch.nn.Parameter(torch.zeros(1)), []

        def training_step(self, batch, batch_idx):
            self.batches.append(batch)
            return self.weight.sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module = Seen()
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=ComplexDataModule(fixture_folder, batch_size=1))
    assert [type(batch) for batch in module.batches] == [ComplexBatch] * 2
