import json

import numpy as np
import pytest
import torch
import yaml

from moldiff.data.property_statistics import PropertyStatistics
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable


@pytest.fixture(scope="module")
def with_property(table):
    molecules = [table.molecule(i) for i in range(len(table))]
    return MoleculeTable.from_arrays(molecules, properties={"gap": np.arange(200.0)})


def test_shares_sum_to_one(table):
    statistics = Statistics.of(table)
    for field, classes in (("atom_types", "elements"), ("charges", "charges"), ("bond_types", "bond_orders")):
        shares = getattr(statistics, field)
        assert len(shares) == len(getattr(table.vocabulary, classes))
        assert sum(shares) == pytest.approx(1)
    assert sum(statistics.sizes.values()) == statistics.num_molecules == len(table)


def test_values_against_loops(with_property):
    statistics = Statistics.of(with_property)
    molecules = [with_property.molecule(i) for i in range(200)]
    carbon = np.mean(np.concatenate([m.atomic_numbers for m in molecules]) == 6)
    double = np.mean(np.concatenate([m.bond_orders for m in molecules]) == 2)
    centred = np.concatenate([m.positions - m.positions.mean(0) for m in molecules])
    assert statistics.atom_types[with_property.vocabulary.elements.index("C")] == pytest.approx(carbon)
    assert statistics.bond_types[2] == pytest.approx(double)
    assert statistics.position_std == pytest.approx(np.sqrt((centred**2).mean()))
    assert statistics.sizes[18] == sum(len(m) == 18 for m in molecules)
    gap = statistics.properties["gap"]
    assert (gap.mean, gap.std, gap.min, gap.max) == pytest.approx((99.5, np.arange(200).std(), 0.0, 199.0))


def test_dict_and_back(with_property):
    statistics = Statistics.of(with_property)
    values = statistics.to_dict()
    for same in (values, json.loads(json.dumps(values)), yaml.safe_load(yaml.safe_dump(values))):
        assert Statistics.from_dict(same) == statistics


def test_empty_table_is_an_error(table):
    with pytest.raises(ValueError, match="at least one"):
        Statistics.of(table.subset([]))


def test_joint_histogram_of_a_property_and_the_size(with_property):
    """Ten molecules in each of 20 bins; what is near a value are the molecules of its bin."""
    gap = Statistics.of(with_property).properties["gap"]
    values = with_property.properties["gap"].numpy()
    sizes = with_property.sizes.numpy()
    assert np.sum(list(gap.counts.values()), axis=0).tolist() == [10] * 20
    near = gap.sizes_near(57.0)
    assert near == {n: int(np.sum(sizes[50:60] == n)) for n in near}
    assert sum(near.values()) == 10
    assert gap.sizes_near(-1e9) == gap.sizes_near(values.min())


def test_unknown_values_count_for_nothing():
    values = torch.tensor([1.0, torch.nan, 3.0], dtype=torch.float64)
    known = PropertyStatistics.of(values, torch.tensor([4, 5, 6]), "eV")
    assert (known.mean, known.std, known.min, known.max) == (2.0, 1.0, 1.0, 3.0)
    assert set(known.counts) == {4, 6}
    assert PropertyStatistics.of(values[:1], torch.tensor([4])).std == 1.0  # a constant has no scale
    with pytest.raises(ValueError, match="without any finite value"):
        PropertyStatistics.of(values[1:2], torch.tensor([4]))


def test_models_of_earlier_versions_have_moments_only():
    old = PropertyStatistics.from_dict({"mean": 2.0, "std": 0.5})
    assert (old.mean, old.min, old.edges) == (2.0, -np.inf, ())
