"""Fréchet distances of known Gaussians, and of sets of molecules."""

import numpy as np
import pytest

from moldiff.metrics.fcd import FrechetScore, chemnet_activations, frechet_chemnet_distance, frechet_distance


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


def test_every_molecule_is_looked_at_once_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("fcd_torch")
    sizes = []

    class Counting:
        def __init__(self, **_: object) -> None: ...

        def get_predictions(self, smiles: list[str]) -> np.ndarray:
            sizes.append(len(smiles))
            return np.array([[float(len(text)), 1.0] for text in smiles])

    monkeypatch.setattr(package, "FCD", Counting)
    found = chemnet_activations(["C" * k for k in range(1, 1026)])
    assert found[:, 0].tolist() == list(range(1, 1026))
    assert sizes == [512, 512, 1]
    assert frechet_chemnet_distance(["C", "CC"], ["C", "CCC"]).value == pytest.approx(0.5**2 + (2**0.5 - 0.5**0.5) ** 2)


def test_never_below_zero() -> None:
    """Not even by rounding: of equal samples of few values in many dimensions."""
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(4, 9))
        assert 0 <= frechet_distance(x, x.copy()) < 1e-6


def test_of_one_dimension() -> None:
    a, b = np.array([[0.0], [2.0]]), np.array([[5.0], [5.0]])  # variances of 2 and 0
    assert frechet_distance(a, b) == pytest.approx(4.0**2 + 2.0)


def test_of_too_few_molecules() -> None:
    assert frechet_chemnet_distance(["C"], ["C", "CC"]) == FrechetScore(None, 1, 2)
    assert frechet_chemnet_distance(["C", "CC"], ["C"]) == FrechetScore(None, 2, 1)
