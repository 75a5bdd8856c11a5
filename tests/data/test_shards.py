"""Data sets in mapped files: the same molecules, batches and statistics as in one table."""

import pytest
import torch

from moldiff.data import MoleculeTable, ShardDataModule, ShardedTable, Statistics, write_shards
from moldiff.data.shard_batching import ShardBatchSampler


@pytest.fixture(scope="module")
def files(table: MoleculeTable, tmp_path_factory):
    """200 molecules in 29 files, written from tables of other lengths."""
    parts = (table.subset(range(first, min(first + 30, 200))) for first in range(0, 200, 30))
    return write_shards(parts, tmp_path_factory.mktemp("data") / "shards", shard_size=7)


@pytest.fixture
def shards(files):
    return ShardedTable(files)


def test_molecules_are_those_of_the_table(table, shards, files):
    assert [path.name for path in files[:2]] == ["00000.safetensors", "00001.safetensors"]
    assert len(files) == 29
    assert len(shards) == len(table) == 200
    for rows in ([0], [199, 3, 7, 6, 100], list(range(0, 200, 9))):
        expected, got = table.batch(rows), shards.__getitems__(rows)
        for name in ("pos", "atom_types", "charges", "bond_types", "mask"):
            assert torch.equal(getattr(got, name), getattr(expected, name))


def test_statistics_are_those_of_the_table(table, shards):
    expected, got = Statistics.of(table).to_dict(), shards.statistics.to_dict()
    assert got["sizes"] == expected["sizes"]
    assert got["vocabulary"] == expected["vocabulary"]
    for name in ("atom_types", "charges", "bond_types", "position_std"):
        assert got[name] == pytest.approx(expected[name], rel=1e-6)


def test_moments_of_properties_are_merged(table):
    values = torch.linspace(-1, 3, 200, dtype=torch.float64).square()
    whole = MoleculeTable(**{**vars(table), "properties": {"p": values}})
    parts = [Statistics.of(whole.subset(range(a, b))) for a, b in ((0, 10), (10, 150), (150, 200))]
    got, expected = (statistics.properties["p"] for statistics in (Statistics.merged(parts), Statistics.of(whole)))
    assert (got.mean, got.std, got.min, got.max) == pytest.approx(
        (expected.mean, expected.std, expected.min, expected.max)
    )


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 16, 33, 500])
def test_every_molecule_comes_once_per_epoch(shards, shuffle, batch_size):
    sampler = ShardBatchSampler(shards, batch_size, shuffle, window=3)
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == -(-200 // batch_size)
        assert sum(len(batch) < batch_size for batch in batches) == (200 % batch_size > 0)
        assert sorted(row for batch in batches for row in batch) == list(range(200))
        assert list(sampler) == batches
        epochs.append(batches)
    assert (epochs[0] != epochs[1]) == shuffle


def test_batches_are_dealt_out_and_gone_on_with(shards):
    whole = list(ShardBatchSampler(shards, 16, seed=5))
    assert len(whole) == 13
    shares = [list(ShardBatchSampler(shards, 16, seed=5, rank=rank, num_replicas=3)) for rank in range(3)]
    assert [len(share) for share in shares] == [5, 5, 5]
    dealt = [share[k] for k in range(5) for share in shares]
    assert dealt == [*whole, whole[0], whole[1]]
    late = ShardBatchSampler(shards, 16, seed=5)
    late.start = 4
    assert list(late) == whole[4:]


def test_sizes_within_a_batch_are_similar(shards, table):
    sizes = [table.sizes[torch.tensor(batch)] for batch in ShardBatchSampler(shards, 8)]
    padding = 1 - sum(int(s.sum()) for s in sizes) / sum(len(s) * int(s.max()) for s in sizes)
    assert padding < 0.1


def test_data_module(files, table):
    data = ShardDataModule(files[0].parent, batch_size=10, val_files=2, test_files=3)
    data.setup()
    assert (len(data.train), len(data.val), len(data.test)) == (24 * 7, 14, 18)
    assert data.statistics.num_molecules == 168
    assert data.vocabulary == table.vocabulary
    seen = sum(len(batch) for batch in data.train_dataloader())
    assert seen == 168
    first = next(iter(data.val_dataloader()))
    assert first.pos.shape[0] == 10
    assert ShardDataModule(files[0].parent, test_files=0).test_dataloader() == []


def test_errors(files, table, tmp_path):
    with pytest.raises(FileExistsError, match=r"holds \.safetensors files"):
        write_shards([table], files[0].parent)
    with pytest.raises(ValueError, match="no molecules"):
        write_shards([], tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="write_shards"):
        ShardDataModule(tmp_path).setup()
    with pytest.raises(ValueError, match="leave 0 for training"):
        ShardDataModule(files[0].parent, val_files=28).setup()
    table.save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="has no statistics"):
        ShardedTable([tmp_path / "a.safetensors"])
