"""Fréchet distances of known Gaussians, and of sets of molecules."""

import numpy as np
import pytest

from moldiff.metrics.fcd import FrechetScore, frechet_chemnet_distance, frechet_distance


def test_of_gaussians() -> None:
    """A shift by d costs |d|², a change of the widths from s to t costs (t - s)² each."""
    x = np.random.default_rng(0).normal(size=(500, 3))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + np.array([3.0, 0, 4.0])) == pytest.approx(25)
    whitened = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    assert frechet_distance(whitened, whitened * [2.0, 3.0, 1.0]) == pytest.approx(1 + 4)


def test_is_symmetric() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(size=(40, 5)), random.normal(size=(60, 5)) @ random.normal(size=(5, 5))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_of_molecules() -> None:
    package = pytest.importorskip("fcd_torch")
    alkanes, alcohols = ["C" * n for n in range(3, 13)], ["C" * n + "O" for n in range(3, 13)]
    found = frechet_chemnet_distance(alkanes, alcohols)
    assert found.value == pytest.approx(package.FCD(device="cpu")(alkanes, alcohols), rel=1e-3)
    assert (found.num_molecules, found.num_reference) == (10, 10)
    assert frechet_chemnet_distance(alkanes, alkanes).value == pytest.approx(0, abs=1e-6)


def test_of_too_few_molecules() -> None:
    assert frechet_chemnet_distance(["C"], ["C", "CC"]) == FrechetScore(None, 1, 2)
