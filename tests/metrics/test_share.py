"""Shares and their intervals."""

import math

import pytest

from moldiff.metrics.share import Share, requested_count


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (15, 100, 0.0931, 0.2328)],
)
def test_wilson_interval(count: int, total: int, low: float, high: float) -> None:
    """Values of Wilson's formula from the literature (Newcombe 1998 and its tables)."""
    assert Share(count, total, "requested").interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("total", [1, 7, 1000])
def test_interval_holds_the_share(total: int) -> None:
    for count in range(total + 1):
        share = Share(count, total, "requested")
        assert 0 <= share.interval.low <= share.value + 1e-15
        assert share.value - 1e-15 <= share.interval.high <= 1
        mirrored = Share(total - count, total, "requested").interval
        assert share.interval == pytest.approx((1 - mirrored.high, 1 - mirrored.low))


def test_share_of_nothing() -> None:
    assert math.isnan(Share(0, 0, "valid").value)
    assert Share(0, 0, "valid").interval == (0, 1)


@pytest.mark.parametrize(("count", "total"), [(-1, 3), (4, 3)])
def test_impossible_counts(count: int, total: int) -> None:
    with pytest.raises(ValueError, match="0 <= count <= total"):
        Share(count, total, "requested")


def test_requested_count() -> None:
    assert requested_count(3, None) == 3
    assert requested_count(3, 5) == 5
    with pytest.raises(ValueError, match="3 molecules but only 2 requested"):
        requested_count(3, 2)
    with pytest.raises(ValueError, match="no molecules"):
        requested_count(0, None)
