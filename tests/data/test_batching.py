import numpy as np
import pytest

from moldiff.data.batching import SizeBatchSampler

# Molecules of EDM's training split of QM9 by number of atoms.
QM9_SIZES = {
    3: 1, 4: 4, 5: 5, 6: 9, 7: 16, 8: 49, 9: 124, 10: 362, 11: 807, 12: 1689, 13: 3060, 14: 5136, 15: 7796, 16: 10644,
    17: 13025, 18: 13364, 19: 13832, 20: 9482, 21: 9970, 22: 3393, 23: 4848, 24: 539, 25: 1506, 26: 48, 27: 266, 29: 25,
}  # fmt: skip
SIZES = np.random.default_rng(0).permutation(np.repeat(list(QM9_SIZES), list(QM9_SIZES.values())))
SETTINGS = [{"shuffle": True}, {"shuffle": False}, {"shuffle": True, "drop_last": True}]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [64, 256])
def test_padding_on_qm9_is_below_three_percent(shuffle, batch_size):
    sizes = [SIZES[batch] for batch in SizeBatchSampler(SIZES, batch_size, shuffle)]
    atoms, places = sum(s.sum() for s in sizes), sum(len(s) * s.max() for s in sizes)
    assert 1 - atoms / places < 0.03


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_molecule_comes_once_per_epoch(shuffle):
    sampler = SizeBatchSampler(SIZES[:1003], 16, shuffle, window=5)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 63
    assert sorted(i for batch in batches for i in batch) == list(range(1003))


@pytest.mark.parametrize("settings", SETTINGS)
def test_order_is_a_function_of_seed_and_epoch(settings):
    first, second = (SizeBatchSampler(SIZES[:500], 16, seed=3, **settings) for _ in range(2))
    assert list(first) == list(first) == list(second)
    second.set_epoch(1)
    assert (list(first) != list(second)) == settings["shuffle"]
    other = SizeBatchSampler(SIZES[:500], 16, seed=4, **settings)
    assert (list(first) != list(other)) == settings["shuffle"]


def test_small_molecules_do_not_come_first():
    means = [SIZES[batch].mean() for batch in SizeBatchSampler(SIZES[:20_000], 64)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2


def test_drop_last_leaves_out_other_molecules_each_epoch():
    sampler = SizeBatchSampler(SIZES[:100], 16, drop_last=True)
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        assert {len(batch) for batch in sampler} == {16}
        assert len(list(sampler)) == len(sampler) == 6
        epochs.append({i for batch in sampler for i in batch})
    assert epochs[0] != epochs[1]


def test_start_leaves_out_the_first_batches():
    sampler = SizeBatchSampler(SIZES[:500], 16)
    batches = list(sampler)
    sampler.start = 10
    assert list(sampler) == batches[10:]


@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_share_the_batches(shuffle):
    ranks = [list(SizeBatchSampler(SIZES[:200], 16, shuffle, rank=r, num_replicas=4)) for r in range(4)]
    assert {len(batches) for batches in ranks} == {4}
    molecules = [i for batches in ranks for batch in batches for i in batch]
    assert set(molecules) == set(range(200))
    assert len(molecules) <= 200 + 3 * 16


@pytest.mark.parametrize(
    ("sizes", "kwargs"), [([], {}), ([5] * 3, {"drop_last": True}), ([5], {"batch_size": 0}), ([5], {"window": 0})]
)
def test_errors(sizes, kwargs):
    with pytest.raises(ValueError, match="Got"):
        SizeBatchSampler(sizes, **{"batch_size": 4, **kwargs})


def test_few_of_each_group():
    """In every epoch min(per_group, members) of each group, all of them in the long run; else as without groups."""
    groups = ["a"] * 10 + ["b"] * 2 + ["c"]
    sampler = SizeBatchSampler(np.arange(13) + 1, 4, seed=1, groups=groups, per_group=3)
    seen = set()
    for epoch in range(40):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        members = [k for batch in batches for k in batch]
        assert len(batches) == len(sampler) == 2
        assert sorted(groups[k] for k in members) == ["a"] * 3 + ["b"] * 2 + ["c"]
        assert len(set(members)) == len(members)
        seen |= set(members)
    assert seen == set(range(13))
    alone = SizeBatchSampler(np.arange(13) + 1, 4, seed=1, groups=groups, per_group=10)
    assert list(alone) == list(SizeBatchSampler(np.arange(13) + 1, 4, seed=1))
