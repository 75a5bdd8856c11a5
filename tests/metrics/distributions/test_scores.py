"""Distances of sets of molecules from a reference."""

import json
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.files import read_molecules
from moldiff.metrics.distributions import DistributionScores, Profile, count_quantities, noise_floors
from moldiff.metrics.distributions.quantities import QUANTITIES


def counted(lengths: np.ndarray) -> list[dict]:
    """Molecules with one C-C bond each, of these lengths."""
    bins = QUANTITIES["bond lengths"].bins(lengths).tolist()
    return [{"bond lengths": {("C-C", k): 1}, "bond types": {("C-C", 0): 1}} for k in bins]


@pytest.fixture(scope="module")
def real() -> list[dict]:
    mols = read_molecules(Path(__file__).parents[2] / "fixtures" / "qm9_200.sdf")
    return [count_quantities(mol) for mol in mols if mol is not None]


def test_the_reference_itself_is_at_distance_0(real: list[dict]) -> None:
    scores = DistributionScores.of(real, Profile.of(real))
    assert set(scores.distances) == set(QUANTITIES)
    for distance in [*scores.distances.values(), *(d for typed in scores.by_type.values() for d in typed.values())]:
        assert distance.value == pytest.approx(0, abs=1e-6)
        assert distance.num_types == distance.reference_types


def test_a_shift_of_all_bonds_is_their_distance() -> None:
    lengths = np.random.default_rng(0).normal(1.5, 0.02, 500)
    scores = DistributionScores.of(counted(lengths + 0.03), Profile.of(counted(lengths)))
    assert scores.distances["bond lengths"].value == pytest.approx(0.03, abs=0.001)
    assert scores.distances["bond lengths"].unit == "Å"
    assert scores.distances["bond types"].value == pytest.approx(0, abs=1e-7)


def test_the_mean_over_types_weighs_them_by_the_reference(real: list[dict]) -> None:
    profile = Profile.of(real)
    scores = DistributionScores.of(real[:60], profile)
    known = profile.histograms["angles"]
    weights = dict(zip(known.types, known.counts.sum(1), strict=True))
    typed = {kind: d for kind, d in scores.by_type["angles"].items() if d.value is not None}
    mean = np.average([d.value for d in typed.values()], weights=[weights[kind] for kind in typed])
    assert scores.distances["angles"].value == pytest.approx(mean)
    shares = [weights[kind] for kind in scores.by_type["angles"]]
    assert shares == sorted(shares, reverse=True)


def test_intervals_cover_the_true_distance() -> None:
    """Of 40 samples of 200 bonds that are 0.01 Å too long; 95 % would be 38."""
    random = np.random.default_rng(1)
    profile = Profile.of(counted(random.normal(1.5, 0.03, 20_000)))
    hits = 0
    for _ in range(40):
        scores = DistributionScores.of(counted(random.normal(1.51, 0.03, 200)), profile)
        interval = scores.distances["bond lengths"].interval
        assert interval is not None
        hits += interval.low <= 0.01 <= interval.high
    assert hits >= 34


def test_real_molecules_are_as_far_as_the_floor_says() -> None:
    random = np.random.default_rng(2)
    reference = counted(random.normal(1.5, 0.03, 20_000))
    profile = Profile.of(reference)
    draws = [DistributionScores.of(counted(random.normal(1.5, 0.03, 100)), profile) for _ in range(30)]
    found = np.mean([scores.distances["bond lengths"].value for scores in draws])
    assert noise_floors(reference, (100,))["bond lengths"][100] == pytest.approx(found, rel=0.25)


def test_types_that_are_missing_are_told() -> None:
    reference = [*counted(np.full(150, 1.5)), *({"bond lengths": {("C=O", 700): 1}} for _ in range(150))]
    distance = DistributionScores.of(counted(np.full(50, 1.5)), Profile.of(reference)).distances["bond lengths"]
    assert (distance.num_types, distance.reference_types, distance.num_values) == (1, 2, 50)
    nothing = DistributionScores.of([], Profile.of(reference)).distances["bond lengths"]
    assert (nothing.value, nothing.interval, nothing.num_values) == (None, None, 0)


def test_profiles_survive_json(real: list[dict]) -> None:
    profile = Profile.of(real)
    again = Profile.from_dict(json.loads(json.dumps(profile.to_dict())))
    assert again.num_molecules == profile.num_molecules == 200
    assert DistributionScores.of(real[:50], again) == DistributionScores.of(real[:50], profile)


def test_molecules_without_coordinates_have_categories_only() -> None:
    flat = [count_quantities(Chem.AddHs(Chem.MolFromSmiles("CCO")))]
    assert {"bond types", "valences", "ring sizes"} <= set(flat[0])
    assert "bond lengths" not in Profile.of(flat).histograms
