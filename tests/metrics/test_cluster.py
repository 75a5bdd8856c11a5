"""Scoring on a cluster: joblib's Dask backend, here with two workers on this machine."""

import math
from pathlib import Path

import joblib
import pytest

from moldiff import evaluate
from moldiff.chem.files import read_molecules
from moldiff.metrics.parallel import run_each

distributed = pytest.importorskip("distributed", reason="needs moldiff[cluster]")
pytestmark = pytest.mark.filterwarnings("ignore:::distributed")


@pytest.fixture(scope="module")
def cluster():
    with (
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
