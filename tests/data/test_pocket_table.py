import pytest
import torch

from moldiff.chem.pocket import Pocket
from moldiff.chem.protein_files import read_pocket
from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import NUM_CLASSES, ComplexBatch, PocketBatch
from moldiff.data.pocket_table import PocketTable
from moldiff.data.tensor_file import TableFileError

NAMES = ("2ayw_ben", "4cik_xo3", "2gns_stl")
FIELDS = ("pos", "types", "direction", "mask")


@pytest.fixture(scope="module")
def pockets(root) -> list[Pocket]:
    return [read_pocket(root / "tests/fixtures/pockets/complexes" / name / "pocket.pdb") for name in NAMES]


@pytest.fixture(params=["atom", "residue"])
def pocket_table(request, pockets) -> PocketTable:
    """Three pockets, and a row without pocket between them."""
    return PocketTable.from_pockets([pockets[0], None, *pockets[1:]], request.param)


def assert_same(first: PocketBatch, second: PocketBatch) -> None:
    assert first.level == second.level
    for field in FIELDS:
        assert torch.equal(getattr(first, field), getattr(second, field)), field


def test_batches_equal_single_reads(pocket_table, pockets):
    level = pocket_table.level
    batch = pocket_table.batch([3, 0, 2])
    for row, pocket in zip(batch.mask, (pockets[2], pockets[0], pockets[1]), strict=True):
        assert row.sum() == (len(pocket) if level == "atom" else pocket.num_residues)
    for row, pocket in enumerate((pockets[2], pockets[0], pockets[1])):
        n = int(batch.num_points[row])
        expected = pocket.positions if level == "atom" else pocket.residue_positions()
        torch.testing.assert_close(batch.pos[row, :n], torch.tensor(expected).float(), rtol=0, atol=0)
        classes = pocket.atom_classes() if level == "atom" else pocket.residue_classes()
        assert batch.types[row, :n].tolist() == classes.tolist()
        directions = torch.tensor(pocket.residue_directions()).float()
        expected = torch.zeros(n, 3) if level == "atom" else directions
        torch.testing.assert_close(batch.direction[row, :n], expected, rtol=0, atol=0)
        assert not any(getattr(batch, field)[row, n:].any() for field in FIELDS)
    assert batch.pos.dtype == torch.float32
    assert batch.types.dtype == torch.int64
    assert int(pocket_table.types.max()) < NUM_CLASSES[level]


def test_rows_without_pocket(pocket_table):
    batch = pocket_table.batch([1, 0])
    assert not batch.mask[0].any()
    assert batch.mask[1].all()
    empty = pocket_table.batch([1])
    assert empty.pos.shape == (1, 0, 3)
    nothing = PocketTable.from_pockets([None, None], pocket_table.level)
    assert nothing.batch([1, 0]).mask.shape == (2, 0)
    assert len(nothing.batch([])) == 0


def test_residue_level_stands_at_alpha_carbons(pockets):
    batch = PocketTable.from_pockets(pockets[1:2], "residue").batch([0])
    is_alpha = pockets[1].atom_names == "CA"
    torch.testing.assert_close(batch.pos[0], torch.tensor(pockets[1].positions[is_alpha]).float())
    glycine = batch.types[0] == 7
    assert glycine.any()
    lengths = batch.direction[0].norm(dim=-1)
    assert not lengths[glycine].any()
    assert ((lengths[~glycine] > 1.0) & (lengths[~glycine] < 5.0)).all()


def test_indexing(pocket_table):
    batch = pocket_table.batch([0, 1, 2, 3])
    assert_same(batch[[2, 0]], batch[torch.tensor([2, 0])])
    assert_same(batch[1:3], batch[[1, 2]])
    assert_same(batch[-1], batch[[3]])
    assert_same(batch[batch.mask.any(1)], batch[[0, 2, 3]])
    repeated = batch[[2] * 5]
    assert len(repeated) == 5
    assert len(list(batch)) == 4  # rows one by one
    with pytest.raises(IndexError):
        batch[4]


def test_devices(pocket_table):
    batch = pocket_table.batch([0, 2]).to("meta")
    assert {getattr(batch, field).device.type for field in FIELDS} == {"meta"}
    assert batch.level == pocket_table.level


def test_save_and_load(pocket_table, tmp_path):
    pocket_table.save(tmp_path / "a" / "pockets.safetensors")
    again = PocketTable.load(tmp_path / "a" / "pockets.safetensors")
    assert_same(again.batch([0, 1, 2, 3]), pocket_table.batch([0, 1, 2, 3]))
    assert again.metadata == pocket_table.metadata


def test_damaged_and_foreign_files(pocket_table, table, tmp_path):
    path = tmp_path / "a.safetensors"
    pocket_table.save(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TableFileError, match="checksum"):
        PocketTable.load(path)
    table.save(path)
    with pytest.raises(TableFileError, match="delete it"):  # molecules, not pockets
        PocketTable.load(path)


def test_joined_tables(pocket_table, pockets):
    parts = [PocketTable.from_pockets([pocket], pocket_table.level) for pocket in (pockets[0], None, *pockets[1:])]
    assert_same(PocketTable.joined(parts).batch([0, 1, 2, 3]), pocket_table.batch([0, 1, 2, 3]))


def test_unknown_level(pockets):
    with pytest.raises(ValueError, match="level='chain'; expected one of atom, residue"):
        PocketTable.from_pockets(pockets, "chain")


def test_complexes_have_as_many_pockets_as_ligands(pocket_table, table):
    molecules = table.batch([0, 1])
    batch = ComplexBatch(molecules, pocket_table.batch([0, 2]))
    assert len(batch) == 2
    assert torch.equal(batch.mask, molecules.mask)
    moved = batch.to("meta")
    assert isinstance(moved.molecules, MolBatch)
    assert moved.mask.device.type == moved.pocket.mask.device.type == "meta"
    with pytest.raises(ValueError, match="2 ligands and 1 pockets"):
        ComplexBatch(molecules, pocket_table.batch([0]))
