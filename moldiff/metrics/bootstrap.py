"""Intervals by resampling molecules (Efron 1979): 200 draws with replacement, the same for each set of one size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from moldiff.metrics.share import Interval

NUM_DRAWS = 200


def resampled(n: int, size: int | None = None, draws: int = NUM_DRAWS, seed: int = 0) -> Iterator[NDArray[np.float64]]:
    """How often each of `n` molecules occurs, (n,), when `size` (default: `n`) are drawn with replacement."""
    random = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.bincount(random.integers(n, size=size or n), minlength=n).astype(np.float64)


def bootstrap_interval(statistic: Callable[[NDArray[np.float64]], float], n: int) -> Interval:
    """The 95 % interval of a statistic of `n` molecules: the basic one, which turns the resampled values round.

    A distance to a reference is too large by what the noise of a finite sample adds to it, and too large by it twice
    when it is resampled: the quantiles of the resampled values would then lie above the estimate. Their distances from
    the estimate, counted the other way round, take the excess off (Davison & Hinkley 1997, section 5.2).

    Args:
        statistic: of weights (n,) of the molecules; weights 1 give the estimate. NaN where it is not defined.
        n: number of molecules.
    """
    estimate = statistic(np.ones(n))
    low, high = np.nanquantile([statistic(weights) for weights in resampled(n)], (0.025, 0.975))
    return Interval(2 * estimate - float(high), 2 * estimate - float(low))
