"""Intervals by resampling."""

import numpy as np
import pytest

from moldiff.metrics.bootstrap import NUM_DRAWS, bootstrap_interval, estimate_and_draws, resampled
from moldiff.metrics.mean import Mean


def test_draws_are_with_replacement_and_the_same_each_time() -> None:
    draws = resampled(50)
    assert draws.shape == (50, NUM_DRAWS)
    assert (draws.sum(0) == 50).all()
    assert np.array_equal(draws, resampled(50))
    assert (resampled(50, size=7).sum(0) == 7).all()
    assert np.array_equal(estimate_and_draws(50), np.c_[np.ones(50), draws])
    assert NUM_DRAWS == 200
    with pytest.raises(ValueError, match="read-only"):  # they are shared
        estimate_and_draws(50)[0, 0] = 2.0


def test_the_interval_is_turned_round() -> None:
    """Of a statistic that is 1, and from 1.5 to 2 when it is resampled."""
    assert bootstrap_interval(np.r_[1.0, np.linspace(1.5, 2, NUM_DRAWS)]) == pytest.approx((0.0125, 0.4875))


def test_the_interval_of_a_mean_covers_it() -> None:
    """In 95 of 100 samples of 60 values, give or take four standard deviations and the smallness of the samples."""
    random = np.random.default_rng(0)
    means = [Mean.of_values(random.exponential(2.0, 60).tolist(), "valid") for _ in range(100)]
    assert all(mean.interval is not None for mean in means)
    assert sum(mean.interval.low <= 2.0 <= mean.interval.high for mean in means if mean.interval) >= 84


def test_the_interval_is_as_wide_as_theory_says() -> None:
    mean = Mean.of_values(np.random.default_rng(0).normal(size=4000).tolist(), "valid")
    assert mean.interval is not None
    assert mean.interval.high - mean.interval.low == pytest.approx(2 * 1.96 / np.sqrt(4000), rel=0.2)


def test_means_of_little() -> None:
    assert Mean.of_values([], "valid") == Mean(None, None, None, 0, "valid")
    assert Mean.of_values([3.0], "valid", "Å") == Mean(3.0, None, 3.0, 1, "valid", "Å")
    assert Mean.of_values([1.0, 2.0, 6.0], "valid").median == 2.0
    two = Mean.of_values([1.0, 2.0], "valid")
    assert (two.value, two.count) == (1.5, 2)
    assert two.interval == (1, 2)
