"""Laws of the distances between histograms."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from moldiff.metrics.distributions import jensen_shannon, wasserstein


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 9, size=(3, 50)).astype(float)


@pytest.mark.parametrize("bins", [1, 7])
def test_wasserstein_of_a_shift_is_the_shift(counts: np.ndarray, bins: int) -> None:
    padded = np.pad(counts, ((0, 0), (0, 10)))
    assert wasserstein(padded, np.roll(padded, bins, axis=1), width=0.5) == pytest.approx(0.5 * bins)


def test_wasserstein_is_that_of_scipy(counts: np.ndarray) -> None:
    a, b, _ = counts
    assert wasserstein(a, b) == pytest.approx(wasserstein_distance(np.arange(50), np.arange(50), a, b))


def test_jensen_shannon_is_that_of_scipy(counts: np.ndarray) -> None:
    a, b, _ = counts
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(a, b, base=2))


def test_jensen_shannon_of_equal_is_0_and_of_disjoint_is_1(counts: np.ndarray) -> None:
    a = counts[0]
    nothing = np.zeros_like(a)
    assert jensen_shannon(a, 3 * a) == pytest.approx(0, abs=1e-7)
    assert jensen_shannon(np.r_[a, nothing], np.r_[nothing, a]) == pytest.approx(1)


@pytest.mark.parametrize("distance", [wasserstein, jensen_shannon])
def test_distances_are_metrics(counts: np.ndarray, distance) -> None:
    a, b, c = counts
    assert distance(a, a) == pytest.approx(0, abs=1e-7)
    assert distance(a, b) == pytest.approx(distance(b, a))
    assert distance(a, c) <= distance(a, b) + distance(b, c)
    assert np.isnan(distance(a, np.zeros_like(a)))
    assert distance(counts, counts[::-1]).shape == (3,)
