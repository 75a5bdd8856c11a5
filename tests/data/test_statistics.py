import json

import numpy as np
import pytest
import yaml

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
