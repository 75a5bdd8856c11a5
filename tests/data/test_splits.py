import numpy as np
import pytest

from moldiff.data.splits import edm_split, halves, random_split


def test_edm_split_of_qm9(qm9pack):
    split = edm_split(len(qm9pack.index))
    assert (np.diff(qm9pack.index) > 0).all()
    assert [len(part) for part in (split.train, split.val, split.test)] == [100_000, 17_748, 13_083]
    assert qm9pack.index[split.train][:5].tolist() == [133161, 70467, 8226, 26624, 20504]
    assert np.count_nonzero(qm9pack.size[split.train] == 19) == 13_832


@pytest.mark.parametrize("split", [edm_split(), random_split(1000, 0.2, 0.1), random_split(3, 0.0, 0.0)])
def test_parts_cover_everything_once(split):
    together = np.concatenate([split.train, split.val, split.test])
    np.testing.assert_array_equal(np.sort(together), np.arange(len(together)))


def test_edm_split_does_not_touch_the_global_random_state():
    np.random.seed(5)  # noqa: NPY002
    edm_split()
    after = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    assert np.random.rand() == after  # noqa: NPY002


def test_random_split_depends_on_the_seed():
    first, second, other = (random_split(100, seed=seed).train.tolist() for seed in (1, 1, 2))
    assert first == second != other


def test_errors():
    with pytest.raises(ValueError, match="split='random'"):
        edm_split(1000)
    with pytest.raises(ValueError, match="for training"):
        random_split(10, 0.5, 0.5)
    with pytest.raises(ValueError, match="for training"):
        random_split(10, -0.1, 0.5)


def test_halves_are_all_and_have_nothing_in_common():
    for count in (1, 10, 11, 100_000):
        parts = halves(count)
        assert sorted([*parts["first"], *parts["second"]]) == list(range(count))
        assert 0 <= len(parts["first"]) - len(parts["second"]) <= 1
    assert halves(11)["first"].tolist() == halves(11)["first"].tolist() != [0, 1, 2, 3, 4, 5]
