import logging
import pickle
import shutil

import pytest
import torch

from moldiff.data.complex_datamodule import ComplexDataModule
from moldiff.data.crossdocked import convert_pocket10, read_split

NAMES = {"train": ("2ayw_ben", "4cik_xo3"), "test": ("2gns_stl",)}


@pytest.fixture
def pocket10(root, tmp_path):
    """The fixtures in the layout of CrossDocked2020."""
    pairs = {}
    for part, names in NAMES.items():
        pairs[part] = []
        for name in names:
            target = f"TARGET_{name[:4]}_0"
            source, folder = root / "tests/fixtures/pockets/complexes" / name, tmp_path / "pocket10" / target
            folder.mkdir(parents=True)
            shutil.copy(source / "pocket.pdb", folder / f"{name}_pocket10.pdb")
            shutil.copy(source / "ligand.sdf", folder / f"{name}.sdf")
            pairs[part].append((f"{target}/{name}_pocket10.pdb", f"{target}/{name}.sdf"))
    torch.save(pairs, tmp_path / "split_by_name.pt")
    return tmp_path


def convert(folder):
    return convert_pocket10(folder / "pocket10", folder / "split_by_name.pt", folder / "out")


def test_conversion_keeps_split_and_atoms(pocket10, root):
    data = ComplexDataModule(convert(pocket10))
    fixture = ComplexDataModule(root / "tests/fixtures/pockets")
    assert [len(part) for part in (data.train, data.val, data.test)] == [2, 0, 1]
    assert torch.equal(data.train.pos, fixture.train.pos)
    assert torch.equal(data.train.bond_types, fixture.train.bond_types)
    for place in (0, 1):
        assert torch.equal(data.pockets.batch([place]).pos, fixture.pockets.batch([place]).pos)
    assert not (pocket10 / "out.partial").exists()


def test_ids_and_targets(pocket10):
    text = (convert(pocket10) / "index.csv").read_text()
    assert "\nTARGET_2ayw_0.2ayw_ben,train,CrossDocked2020,TARGET_2ayw_0,N=C(N)c1ccccc1,9,8,4.454\n" in text


def test_missing_pairs_are_left_out(pocket10, caplog):
    (pocket10 / "pocket10/TARGET_4cik_0/4cik_xo3.sdf").unlink()
    with caplog.at_level(logging.WARNING):
        out = convert(pocket10)
    assert "1 of 3 records were left out" in caplog.text
    assert len((out / "index.csv").read_text().splitlines()) == 3
    with pytest.raises(FileExistsError, match="out exists"):
        convert(pocket10)


def test_nothing_usable(pocket10):
    shutil.rmtree(pocket10 / "pocket10")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        convert(pocket10)
    (pocket10 / "pocket10").mkdir()
    with pytest.raises(ValueError, match=r"no pair of .* can be used"):
        convert(pocket10)
    assert not (pocket10 / "out.partial").exists()


class Program:
    """A pickle that would run a program."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickles_run_nothing(tmp_path):
    torch.save({"train": Program(tmp_path / "ran")}, tmp_path / "split.pt")
    with pytest.raises(ValueError, match="no plain PyTorch file"):
        read_split(tmp_path / "split.pt")
    (tmp_path / "split.pt").write_bytes(pickle.dumps(Program(tmp_path / "ran"), protocol=2))
    with pytest.raises(ValueError, match="no plain PyTorch file"):
        read_split(tmp_path / "split.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "got no pairs"),
        ([1, 2], "got no pairs"),
        ({"train": [("a.pdb",)]}, "expected pairs"),
        ({"train": [("../../a.pdb", "b.sdf")]}, "within the folder"),
        ({"train": [("/etc/a.pdb", "b.sdf")]}, "within the folder"),
    ],
)
def test_bad_split_files(tmp_path, content, message):
    torch.save(content, tmp_path / "split.pt")
    with pytest.raises(ValueError, match=message):
        read_split(tmp_path / "split.pt")
