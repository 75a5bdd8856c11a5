"""Scoring on a cluster: joblib's Dask backend, here with two workers on this machine."""

import os
from pathlib import Path

import joblib
import pytest

from moldiff import evaluate
from moldiff.chem.files import read_molecules
from moldiff.metrics.parallel import run_each

distributed = pytest.importorskip("distributed", reason="needs moldiff[cluster]")
pytestmark = pytest.mark.filterwarnings("ignore:::distributed")


def fails(item: int) -> int:
    if item == 3:
        raise ValueError("three")
    return item * item


def dies(item: int) -> int:
    if item == 3:
        os._exit(1)
    return item * item


@pytest.fixture(scope="module")
def cluster():
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local,
        distributed.Client(local) as client,
        joblib.parallel_config(backend="dask"),
    ):
        yield client


def test_scores_are_the_same(cluster, root: Path) -> None:
    molecules = read_molecules(root / "tests" / "fixtures" / "qm9_200.sdf")[:60]
    assert evaluate(molecules, None, workers=2).to_dict() == evaluate(molecules, None).to_dict()


def test_what_fails_is_named(cluster) -> None:
    results = run_each(fails, range(30), "squares", 2)
    assert results.faults == {3: "ValueError: three"}
    assert results.values == tuple(None if k == 3 else k * k for k in range(30))


def test_worker_that_dies_fails_one_item(cluster) -> None:
    results = run_each(dies, range(5), "squares", 2)
    assert list(results.faults) == [3]
    assert results.values == (0, 1, 4, None, 16)
