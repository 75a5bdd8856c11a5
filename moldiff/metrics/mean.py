"""A mean that never forgets what it is a mean of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moldiff.metrics.bootstrap import bootstrap_interval, estimate_and_draws
from moldiff.metrics.share import Interval


@dataclass(frozen=True)
class Mean:
    """Mean, its 95 % interval by bootstrap, and median of one value per molecule; None of nothing."""

    value: float | None
    interval: Interval | None
    median: float | None
    count: int  # of values
    of: str  # what was averaged over, for example "valid"
    unit: str = ""

    @classmethod
    def of_values(cls, values: Sequence[float], of: str, unit: str = "") -> Mean:
        """Of finite values; the interval is None for fewer than two."""
        if not len(values):
            return cls(None, None, None, 0, of, unit)
        x = np.asarray(values, dtype=np.float64)
        interval = bootstrap_interval(x @ estimate_and_draws(len(x)) / len(x)) if len(x) > 1 else None
        return cls(float(x.mean()), interval, float(np.median(x)), len(x), of, unit)
