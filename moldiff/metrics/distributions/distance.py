"""Distances between histograms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def wasserstein(a: NDArray[np.floating], b: NDArray[np.floating], width: float = 1.0) -> NDArray[np.float64]:
    """Wasserstein-1 distance: the area between both cumulative distributions (Vallender 1974).

    Args:
        a: (..., K) counts or weights of the bins, not negative; each histogram is divided by its sum.
        b: (..., K), on the same bins.
        width: of a bin; the distance has its unit.

    Returns:
        (...); NaN where a histogram is empty.
    """
    return np.asarray(np.abs(np.cumsum(_shares(a) - _shares(b), axis=-1)).sum(-1) * width)


def jensen_shannon(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Jensen–Shannon distance in base 2: 0 of equal, 1 of disjoint histograms (Endres & Schindelin 2003).

    It is the square root of the divergence, and obeys the triangle inequality.

    Args:
        a: (..., K) counts or weights, not negative; each histogram is divided by its sum.
        b: (..., K), of the same categories.

    Returns:
        (...); NaN where a histogram is empty.
    """
    p, q = np.broadcast_arrays(_shares(a), _shares(b))
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def _shares(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    total = np.sum(counts, axis=-1, keepdims=True, dtype=np.float64)
    shares: NDArray[np.float64] = np.full(np.shape(counts), np.nan)
    np.divide(counts, total, out=shares, where=total > 0)
    return shares


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log2(ratio)).sum(-1))
