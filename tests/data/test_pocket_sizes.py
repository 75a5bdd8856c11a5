"""Sizes of ligands by pocket: fitted, kept, and looked up."""

import json

import numpy as np
import pytest
import torch

from moldiff.chem.arrays import MoleculeArrays
from moldiff.data.complex_datamodule import ComplexDataModule
from moldiff.data.mixed_datamodule import MixedDataModule
from moldiff.data.pocket_sizes import PocketSizes
from moldiff.data.pocket_table import PocketTable, offsets
from moldiff.data.sdf_datamodule import SDFDataModule
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable


def data(counts, sizes):
    """Ligands of some sizes, each in a pocket with some points near its middle and five far off."""
    generator = np.random.default_rng(0)
    ligands, points = [], []
    for k, size in enumerate(sizes):
        middle = 100.0 * k
        pos = generator.normal(size=(size, 3))
        ligands.append(
            MoleculeArrays(
                np.full(size, 6),
                pos - pos.mean(0) + middle,
                np.zeros(size, int),
                np.zeros(size * (size - 1) // 2, "i1"),
            )
        )
        points.append(np.concatenate([np.full((counts[k], 3), middle + 3.0), np.full((5, 3), middle + 4.0)]))
    table = PocketTable(
        "atom",
        torch.tensor(np.concatenate(points), dtype=torch.float32),
        torch.zeros(sum(map(len, points)), dtype=torch.int16),
        torch.zeros(0, 3),
        offsets(torch.tensor([len(p) for p in points])),
    )
    return MoleculeTable.from_arrays(ligands), table


def mean(histogram):
    return sum(n * w for n, w in histogram.items()) / sum(histogram.values())


def test_sizes_depend_on_what_is_near():
    counts = [2] * 30 + [9] * 30
    law = PocketSizes.of(*data(counts, [30] * 15 + [34] * 15 + [12] * 30))
    assert law.edges == (9,)
    assert law.histograms == ({30: 15.0, 34: 15.0}, {12: 30.0})
    few, many = (law.histogram(torch.full((n, 3), 3.0), torch.zeros(3)) for n in (1, 20))
    assert mean(few) > 26
    assert mean(many) < 18
    assert law.histogram(torch.full((9, 3), 3.0), torch.full((3,), 50.0)) == few  # nothing is near


def test_weights_are_counted():
    law = PocketSizes.of(*data([2, 2, 2], [10, 20, 20]), weights=[1.0, 0.25, 0.25])
    assert law.histograms == ({10: 1.0, 20: 0.5},)


def test_histogram_is_kept_as_json():
    law = PocketSizes.of(*data([2] * 9 + [9] * 9, [30] * 9 + [12] * 9))
    again = PocketSizes.from_dict(json.loads(json.dumps(law.to_dict())))
    assert again == law
    values = law.to_dict()
    with pytest.raises(ValueError, match="one more than edges"):
        PocketSizes.from_dict({**values, "edges": []})


def test_data_modules_keep_them(root, monkeypatch, tmp_path):
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path))
    complexes = ComplexDataModule(root / "tests" / "fixtures" / "pockets")
    law = complexes.statistics.pocket_sizes
    total = sum(sum(histogram.values()) for histogram in law.histograms)
    assert total == len(complexes.train)
    assert Statistics.from_dict(json.loads(json.dumps(complexes.statistics.to_dict()))) == complexes.statistics
    mixed = MixedDataModule(complexes, complexes)
    assert mixed.statistics.pocket_sizes == law
    assert mixed.statistics.sizes == complexes.statistics.sizes
    alone = SDFDataModule(root / "tests" / "fixtures" / "qm9_200.sdf").statistics
    assert alone.pocket_sizes is None
    assert "pocket_sizes" not in alone.to_dict()
