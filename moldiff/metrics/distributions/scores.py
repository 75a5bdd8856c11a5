"""How far the molecules' distributions are from those of a reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moldiff.metrics.bootstrap import bootstrap_interval, estimate_and_draws, resampled
from moldiff.metrics.distributions.distance import jensen_shannon, wasserstein
from moldiff.metrics.distributions.profile import Histograms, MoleculeCounts, Profile, gather
from moldiff.metrics.distributions.quantities import QUANTITIES, Counts
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
        distances: dict[str, Distance] = {}
        by_type: dict[str, dict[str, Distance]] = {}
        for name, known in reference.histograms.items():
            sample = gather(molecules, QUANTITIES[name])
            if sample.quantity.width is None:
                distances[name] = _distance(sample, known.types, _category_distances(sample, known, _draws(sample)))
                continue
            common = tuple(sorted(known.types, key=lambda kind, h=known: (-h.aligned([kind]).sum(), kind)))  # type: ignore[misc]
            each = _type_distances(sample, known, common, _draws(sample))
            distances[name] = _distance(sample, common, _mean_over_types(each, known.aligned(common).sum(1)))
            if len(common) > 1:
                by_type[name] = {kind: _distance(sample, (kind,), row) for kind, row in zip(common, each, strict=True)}
        return cls(distances, by_type)


def noise_floors(molecules: Sequence[dict[str, Counts]], sizes: Sequence[int]) -> dict[str, dict[int, float]]:
    """How far real molecules are from the reference, by quantity and by the size of their sample.

    It is the mean distance of samples that are drawn with replacement from the reference's own molecules.
    """
    floors: dict[str, dict[int, float]] = {}
    for name, known in Profile.of(molecules).histograms.items():
        sample = gather(molecules, QUANTITIES[name])
        for size in sizes:
            weights = resampled(sample.num_molecules, size, _FLOOR_DRAWS)
            if sample.quantity.width is None:
                values = _category_distances(sample, known, weights)
            else:
                each = _type_distances(sample, known, known.types, weights)
                values = _mean_over_types(each, known.counts.sum(1))
            floors.setdefault(name, {})[size] = float(np.nanmean(values))
    return floors


def _draws(sample: MoleculeCounts) -> NDArray[np.float64]:
    """(M, B): the weights of the molecules for the estimate and, if there are any, for its interval."""
    return estimate_and_draws(sample.num_molecules) if sample.num_molecules > 1 else np.ones((sample.num_molecules, 1))


def _category_distances(sample: MoleculeCounts, known: Histograms, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,): Jensen–Shannon distance of the categories of molecules with weights (M, B)."""
    types = tuple(dict.fromkeys((*known.types, *sample.types)))
    counts = np.zeros((len(types), weights.shape[1]))
    counts[[types.index(kind) for kind in sample.types]] = sample.matrix @ weights
    return jensen_shannon(counts.T, known.aligned(types)[:, 0])


def _type_distances(
    sample: MoleculeCounts, known: Histograms, types: Sequence[str], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(T, B): Wasserstein distance of each type of molecules with weights (M, B); NaN where they have none of it."""
    bins, width = sample.quantity.num_bins, sample.quantity.width or 1.0
    out = np.full((len(types), weights.shape[1]), np.nan)
    reference = known.aligned(types)
    for k, kind in enumerate(types):
        if kind in sample.types:
            start = sample.types.index(kind) * bins
            rows = sample.matrix[start : start + bins]
            used = np.flatnonzero((np.diff(rows.indptr) > 0) | (reference[k] > 0))
            between = slice(used[0], used[-1] + 1)  # all other bins are empty in both
            out[k] = wasserstein((rows[between] @ weights).T, reference[k, between], width)
    return out


def _mean_over_types(each: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,) of (T, B), by the shares (T,), of the types that are there."""
    weights = np.where(np.isfinite(each), shares[:, None], 0.0)
    total = weights.sum(0)
    summed = (np.nan_to_num(each) * weights).sum(0)
    means: NDArray[np.float64] = np.full(len(total), np.nan)
    np.divide(summed, total, out=means, where=total > 0)
    return means


def _distance(sample: MoleculeCounts, types: Sequence[str], values: NDArray[np.float64]) -> Distance:
    """`values`: of the estimate and the draws, (B,)."""
    quantity, there = sample.quantity, [kind for kind in types if kind in sample.types]
    estimate = float(values[0]) if sample.num_molecules else math.nan
    interval = None
    if len(values) > 1 and not math.isnan(estimate):
        highest = math.inf if quantity.width is not None else 1.0
        low, high = (min(max(0.0, bound), highest) for bound in bootstrap_interval(values))
        interval = Interval(low, high)
    counted = there if quantity.width is not None else sample.types
    return Distance(
        None if math.isnan(estimate) else estimate,
        interval,
        quantity.unit,
        sample.num_molecules,
        int(sample.histograms().aligned(counted).sum()),
        len(there),
        len(types),
    )
