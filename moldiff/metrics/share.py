"""A share that never forgets what it is a share of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

_Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


class Interval(NamedTuple):
    """Lower and upper bound of a share."""

    low: float
    high: float


@dataclass(frozen=True)
class Share:
    """`count` out of `total`.

    Raises:
        ValueError: if not 0 <= count <= total.
    """

    count: int
    total: int
    of: str  # what `total` counts, for example "requested"

    def __post_init__(self) -> None:
        """Check the counts."""
        if not 0 <= self.count <= self.total:
            raise ValueError(f"Got {self.count} out of {self.total} ({self.of}); expected 0 <= count <= total")

    @property
    def value(self) -> float:
        """The share between 0 and 1; NaN of nothing."""
        return self.count / self.total if self.total else math.nan

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval (Wilson 1927), which is sound for small counts and near 0 and 1."""
        if not self.total:
            return Interval(0.0, 1.0)
        p, n, z2 = self.value, self.total, _Z_95**2
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return Interval(max(0.0, centre - half), min(1.0, centre + half))


def requested_count(given: int, requested: int | None) -> int:
    """The denominator of a set of molecules: how many were asked for.

    Raises:
        ValueError: if that is none, or fewer than there are molecules.
    """
    total = given if requested is None else requested
    if total < 1:
        raise ValueError("Got no molecules; expected at least one to score")
    if total < given:
        raise ValueError(f"Got {given} molecules but only {total} requested; expected requested >= molecules")
    return total
