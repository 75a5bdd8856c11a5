"""PoseBusters sees what it should."""

import numpy as np
import pytest

from moldiff.metrics.posebusters import PoseBustersScores, posebusters_verdict


def test_a_good_and_a_crumpled_molecule(embed) -> None:
    pytest.importorskip("posebusters")
    good = embed("CC(=O)Nc1ccccc1")
    bad = embed("CC(=O)Nc1ccccc1")
    x = bad.GetConformer().GetPositions()
    bad.GetConformer().SetPositions(x + np.random.default_rng(0).normal(scale=0.4, size=x.shape))
    verdicts = [posebusters_verdict(good), posebusters_verdict(bad), None]
    assert all(verdicts[0].values())
    assert not verdicts[1]["bond_lengths"]
    scores = PoseBustersScores.of(verdicts, 5)
    assert (scores.passed.count, scores.passed.total) == (1, 5)
    assert (scores.passed_of_valid.count, scores.passed_of_valid.total) == (1, 3)
    assert (scores.checks["bond_lengths"].count, scores.checks["bond_lengths"].total) == (1, 3)


def test_nothing() -> None:
    assert PoseBustersScores.of([], 2).passed.value == 0
    assert PoseBustersScores.of([{}], 1).passed.value == 0  # no check could be carried out
