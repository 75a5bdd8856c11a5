"""Distances of sets of molecules from a reference."""

import json
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.files import read_molecules
from moldiff.metrics.distributions import DistributionScores, Profile, count_quantities, noise_floors
from moldiff.metrics.distributions.quantities import QUANTITIES
from moldiff.metrics.reference.sample import bundled_sample


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


@pytest.mark.parametrize(("count", "there"), [(99, False), (100, True)])
def test_types_are_compared_from_100_values_on(count: int, there: bool) -> None:
    """Lengths, angles and torsions; a category or a size counts from the first on."""
    one = {name: {("C-C", 3 if quantity.width else 0): 1} for name, quantity in QUANTITIES.items()}
    profile = Profile.of([one] * count)
    compared = {name for name in profile.histograms if profile.histograms[name].types}
    assert compared >= {"sizes", "bond types", "valences", "ring sizes"}
    assert (compared >= {"bond lengths", "angles", "torsions"}) is there
    assert profile.num_molecules == count


def test_one_molecule_has_no_interval_and_two_have() -> None:
    profile = Profile.of(counted(np.full(200, 1.5)))
    for count in (1, 2):
        scores = DistributionScores.of(counted(np.full(count, 1.6)), profile)
        for name, value in (("bond lengths", 0.1), ("bond types", 0.0)):
            distance = scores.distances[name]
            assert distance.value == pytest.approx(value, abs=1e-6)
            assert (distance.interval is not None) is (count == 2)
            assert (distance.num_molecules, distance.num_values) == (count, count)


def test_intervals_stay_where_distances_are() -> None:
    """Not below 0; those of categories not above 1, those of lengths as far as they go."""
    far = [{"bond lengths": {("C-C", 3400): 1}, "bond types": {("C-N", 0): 1}}] * 3
    near = [{"bond lengths": {("C-C", 3400): 1}, "bond types": {("C-C", 0): 1}}] * 2
    profile = Profile.of(counted(np.full(200, 1.5)))
    scores = DistributionScores.of([*far, *near, *counted(np.full(2, 1.5))], profile)
    for distance, highest in ((scores.distances["bond types"], 1.0), (scores.distances["bond lengths"], np.inf)):
        assert distance.interval is not None
        assert 0 <= distance.interval.low <= distance.value <= distance.interval.high <= highest  # type: ignore[operator]
    apart = DistributionScores.of(far, profile).distances
    assert apart["bond types"].interval == pytest.approx((1.0, 1.0))
    assert apart["bond lengths"].interval == pytest.approx((2.4, 2.4))


def test_by_type_only_where_there_are_several() -> None:
    one = Profile.of(counted(np.full(200, 1.5)))
    assert DistributionScores.of(counted(np.full(9, 1.5)), one).by_type == {}
    other = [{"bond lengths": {("C-N", 900): 1}}] * 150
    two = Profile.of([*counted(np.full(200, 1.5)), *other])
    found = DistributionScores.of([*counted(np.full(9, 1.6)), *other[:4]], two)
    assert list(found.by_type["bond lengths"]) == ["C-C", "C-N"]
    typed = found.by_type["bond lengths"]
    assert [(d.num_values, d.num_types, d.reference_types) for d in typed.values()] == [(9, 1, 1), (4, 1, 1)]
    assert found.distances["bond lengths"].value == pytest.approx(0.1 * 200 / 350)
    assert found.distances["bond lengths"].num_values == 13


def test_the_bundled_profile_knows_real_lengths() -> None:
    """C-H bonds of 1.09 Å, tetrahedral angles at carbon; all molecules have one size."""
    profile = bundled_sample("qm9").profile
    assert profile is not None
    for name, kind, value, tolerance in (("bond lengths", "C-H", 1.096, 0.01), ("angles", "H-C-H", 108.0, 2.0)):
        quantity, row = QUANTITIES[name], profile.histograms[name].aligned([kind])[0]
        assert quantity.width is not None
        middles = quantity.low + quantity.width * (np.arange(quantity.num_bins) + 0.5)
        assert np.average(middles, weights=row) == pytest.approx(value, abs=tolerance)
    assert profile.histograms["sizes"].counts.sum() == profile.num_molecules
