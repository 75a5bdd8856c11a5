"""How far the molecules' distributions are from those of a reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moldiff.metrics.bootstrap import bootstrap_interval, resampled
from moldiff.metrics.distributions.distance import jensen_shannon, wasserstein
from moldiff.metrics.distributions.profile import Histograms, MoleculeCounts, Profile, gather
from moldiff.metrics.distributions.quantities import QUANTITIES, Counts, Quantity
from moldiff.metrics.share import Interval

_FLOOR_DRAWS = 20


@dataclass(frozen=True)
class Distance:
    """A distance from the reference, and what it was computed from."""

    value: float | None  # None where there is nothing to compare
    interval: Interval | None  # 95 %, by resampling molecules; None for fewer than two molecules
    unit: str  # "" = Jensen–Shannon distance (base 2), from 0 to 1; else Wasserstein-1 distance in this unit
    num_molecules: int  # that have the quantity
    num_values: int  # bonds, angles, ...; of the types that the reference has
    num_types: int = 1  # types that were compared
    reference_types: int = 1  # types that the reference has


@dataclass(frozen=True)
class DistributionScores:
    """Distances of all quantities, and of each type of bond, angle and torsion."""

    distances: dict[str, Distance]  # by quantity; of lengths, angles, torsions: the mean over types
    by_type: dict[str, dict[str, Distance]]  # by quantity and type, the commonest type of the reference first

    @classmethod
    def of(cls, molecules: Sequence[dict[str, Counts]], reference: Profile) -> DistributionScores:
        """Compare what `count_quantities` found in each molecule, valid or not, with a reference.

        The mean over types weighs each type by its share in the reference, of the types that the molecules have; which
        types they lack tells the distance of the bond types.
        """
        distances, by_type = {}, {}
        for name, quantity in QUANTITIES.items():
            known = reference.histograms.get(name)
            if known is None:
                continue
            sample = gather(molecules, quantity)
            if quantity.width is None:
                distances[name] = _compare(sample, _Categories(sample, known))
            else:
                types = known.types
                distances[name] = _compare(sample, _Lengths(sample, known, types))
                if len(types) > 1:
                    common = sorted(types, key=lambda t, k=known: (-k.aligned([t]).sum(), t))  # type: ignore[misc]
                    by_type[name] = {t: _compare(sample, _Lengths(sample, known, (t,))) for t in common}
        return cls(distances, by_type)


def noise_floors(molecules: Sequence[dict[str, Counts]], size: int) -> dict[str, float]:
    """The mean distance of `size` molecules, drawn with replacement from the reference's own, from the reference."""
    profile, floors = Profile.of(molecules), {}
    for name, quantity in QUANTITIES.items():
        known = profile.histograms.get(name)
        if known is not None:
            sample = gather(molecules, quantity)
            statistic = _Lengths(sample, known, known.types) if quantity.width else _Categories(sample, known)
            draws = [statistic(w) for w in resampled(sample.num_molecules, size, _FLOOR_DRAWS)]
            floors[name] = float(np.nanmean(draws))
    return floors


class _Categories:
    """Jensen–Shannon distance of the categories of weighted molecules."""

    def __init__(self, sample: MoleculeCounts, known: Histograms) -> None:
        types = tuple(dict.fromkeys((*known.types, *sample.types)))
        self.sample, self.types, self.known = sample, types, known
        self.reference, self.num_known = known.aligned(types)[:, 0], len(known.types)

    def __call__(self, weights: NDArray[np.float64]) -> float:
        return float(jensen_shannon(self.sample.histograms(weights).aligned(self.types)[:, 0], self.reference))


class _Lengths:
    """Mean Wasserstein distance of some types of weighted molecules."""

    def __init__(self, sample: MoleculeCounts, known: Histograms, types: tuple[str, ...]) -> None:
        bins = sample.quantity.num_bins
        place = {name: k for k, name in enumerate(sample.types)}
        self.types, self.num_known = tuple(t for t in types if t in place), len(types)
        rows = np.concatenate([np.arange(bins) + place[t] * bins for t in self.types] or [np.arange(0)])
        self.matrix = sample.matrix[rows]
        self.sample, self.known, self.reference = sample, known, known.aligned(self.types)
        used = self.reference.sum(0) > 0
        used |= np.asarray(self.matrix.sum(1)).reshape(len(self.types), bins).sum(0) > 0
        self.first, self.stop = (int(np.argmax(used)), bins - int(np.argmax(used[::-1]))) if used.any() else (0, 0)

    def __call__(self, weights: NDArray[np.float64]) -> float:
        if not self.types:
            return math.nan
        counts = (self.matrix @ weights).reshape(len(self.types), -1)[:, self.first : self.stop]
        each = wasserstein(counts, self.reference[:, self.first : self.stop], self.sample.quantity.width or 1.0)
        share, there = self.reference.sum(1), np.isfinite(each)
        return float(np.average(each[there], weights=share[there])) if there.any() else math.nan


def _compare(sample: MoleculeCounts, statistic: _Categories | _Lengths) -> Distance:
    n, quantity = sample.num_molecules, sample.quantity
    value = statistic(np.ones(n)) if n else math.nan
    values = sample.histograms().aligned(statistic.types).sum()
    return Distance(
        None if math.isnan(value) else value,
        _clipped(bootstrap_interval(statistic, n), quantity) if n > 1 and not math.isnan(value) else None,
        quantity.unit,
        n,
        int(values),
        len(set(statistic.types) & set(sample.types) & set(statistic.known.types)),
        statistic.num_known,
    )


def _clipped(interval: Interval, quantity: Quantity) -> Interval:
    highest = math.inf if quantity.width is not None else 1.0
    return Interval(min(max(0.0, interval.low), highest), min(max(0.0, interval.high), highest))
