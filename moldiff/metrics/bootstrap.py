"""Intervals by resampling molecules (Efron 1979): 200 draws with replacement, the same for each set of one size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from moldiff.metrics.share import Interval

NUM_DRAWS = 200


def resampled(n: int, size: int | None = None, draws: int = NUM_DRAWS) -> NDArray[np.float64]:
    """How often each of `n` molecules occurs when `size` (default: `n`) are drawn with replacement, (n, draws)."""
    random = np.random.default_rng(0)
    columns = [np.bincount(random.integers(n, size=size or n), minlength=n) for _ in range(draws)]
    return np.stack(columns, axis=1).astype(np.float64)


@lru_cache(maxsize=1)
def estimate_and_draws(n: int) -> NDArray[np.float64]:
    """Weights of `n` molecules, (n, 1 + NUM_DRAWS), read-only: once each in the first column, then as `resampled`."""
    weights = np.concatenate([np.ones((n, 1)), resampled(n)], axis=1)
    weights.setflags(write=False)
    return weights


def bootstrap_interval(values: NDArray[np.float64]) -> Interval:
    """The 95 % interval of a statistic: the basic one, which turns the resampled values round.

    A distance to a reference is too large by what the noise of a finite sample adds to it, and too large by it twice
    when it is resampled: the quantiles of the resampled values would then lie above the estimate. Their distances from
    the estimate, counted the other way round, take the excess off (Davison & Hinkley 1997, section 5.2).

    Args:
        values: (1 + NUM_DRAWS,) of the statistic under each column of `estimate_and_draws`; NaN where it is undefined.
    """
    low, high = np.nanquantile(values[1:], (0.025, 0.975))
    return Interval(float(2 * values[0] - high), float(2 * values[0] - low))
