"""Scoring on a cluster: joblib's Dask backend, here with two workers on this machine."""

import math
from pathlib import Path

import joblib
import pytest

from moldiff import evaluate
from moldiff.chem.files import read_molecules
from moldiff.metrics.parallel import run_each

dask = pytest.importorskip("dask", reason="needs moldiff[cluster]")
distributed = pytest.importorskip("distributed", reason="needs moldiff[cluster]")
pytestmark = pytest.mark.filterwarnings("ignore:::distributed")


@pytest.fixture(scope="module")
def cluster():
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # a task that kills a worker is not tried again, by Dask
        "distributed.deploy.lost-worker-timeout": "600s",  # a busy machine may take long to start another one
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local,
        distributed.Client(local) as client,
        joblib.parallel_config(backend="dask"),
    ):
        yield client


def test_scores_are_the_same(cluster, root: Path) -> None:
    molecules = read_molecules(root / "tests" / "fixtures" / "qm9_200.sdf")[:60]
    assert evaluate(molecules, None, workers=2).to_dict() == evaluate(molecules, None).to_dict()


def test_what_fails_is_named(cluster) -> None:
    results = run_each(math.sqrt, [4.0, -1.0, 9.0], "roots", 2)
    assert list(results.faults) == [1]
    assert results.values == (2.0, None, 3.0)


def test_a_worker_that_dies_takes_one_item_along(cluster) -> None:
    items = ["1 + 1", "__import__('os')._exit(1)", "7"]
    results = run_each(eval, items, "expressions", 2, limit_s=50.0)
    assert results.values == (2, None, 7)
    assert results.faults == {1: "crashed, or took more than 50 s"}
