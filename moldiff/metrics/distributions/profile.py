"""What many molecules look like: the histogram of each quantity and type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from moldiff.metrics.distributions.quantities import QUANTITIES, Counts, Quantity

_MIN_COUNT = 100  # lengths, angles and torsions of rarer types are not compared


@dataclass(frozen=True)
class Histograms:
    """One quantity of many molecules: types T, bins K."""

    types: tuple[str, ...]
    counts: NDArray[np.float64]  # (T, K)

    def aligned(self, types: Sequence[str]) -> NDArray[np.float64]:
        """(len(types), K): the counts of these types, 0 where a type does not occur."""
        place = {name: k for k, name in enumerate(self.types)}
        zeros = np.zeros(self.counts.shape[1])
        return np.array([self.counts[place[name]] if name in place else zeros for name in types]).reshape(
            len(types), self.counts.shape[1]
        )


@dataclass(frozen=True)
class MoleculeCounts:
    """One quantity of each of M molecules, so that molecules can be drawn again and again."""

    quantity: Quantity
    types: tuple[str, ...]
    matrix: csr_array  # (T K, M): how often each type and bin occurs in each molecule

    @classmethod
    def of(cls, quantity: Quantity, molecules: Sequence[Counts]) -> MoleculeCounts:
        """Gather what `count_quantities` found in each molecule."""
        types = tuple(sorted({name for counts in molecules for name, _ in counts}))
        place = {name: k for k, name in enumerate(types)}
        rows = [place[name] * quantity.num_bins + k for counts in molecules for name, k in counts]
        columns = np.repeat(np.arange(len(molecules)), [len(counts) for counts in molecules])
        values = np.array([n for counts in molecules for n in counts.values()], dtype=np.float64)
        shape = (len(types) * quantity.num_bins, len(molecules))
        return cls(quantity, types, csr_array((values, (rows, columns)), shape=shape, dtype=np.float64))

    @property
    def num_molecules(self) -> int:
        """M."""
        return int(self.matrix.shape[1])

    def histograms(self, weights: NDArray[np.float64] | None = None) -> Histograms:
        """Of all molecules, or of each molecule as often as `weights`, (M,), say."""
        weights = np.ones(self.num_molecules) if weights is None else weights
        return Histograms(self.types, (self.matrix @ weights).reshape(len(self.types), self.quantity.num_bins))


@dataclass(frozen=True)
class Profile:
    """The histograms of a reference, by the name of the quantity."""

    num_molecules: int
    histograms: dict[str, Histograms]

    @classmethod
    def of(cls, molecules: Sequence[dict[str, Counts]]) -> Profile:
        """Of what `count_quantities` found in each molecule; types that are too rare to be compared are left out."""
        found = {}
        for name, quantity in QUANTITIES.items():
            whole = gather(molecules, quantity).histograms()
            kept = [t for t, n in zip(whole.types, whole.counts.sum(1), strict=True) if n >= _threshold(quantity)]
            if kept:
                found[name] = Histograms(tuple(kept), whole.aligned(kept))
        return cls(len(molecules), found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: of each quantity and type the first bin that is not empty, and the counts from there on."""
        return {
            "num_molecules": self.num_molecules,
            "histograms": {
                name: {t: _packed(row) for t, row in zip(h.types, h.counts, strict=True)}
                for name, h in self.histograms.items()
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Profile:
        """Undo `to_dict`."""
        histograms = {}
        for name, types in values["histograms"].items():
            counts = np.zeros((len(types), QUANTITIES[name].num_bins))
            for row, (first, numbers) in zip(counts, types.values(), strict=True):
                row[first : first + len(numbers)] = numbers
            histograms[name] = Histograms(tuple(types), counts)
        return cls(values["num_molecules"], histograms)


def gather(molecules: Sequence[dict[str, Counts]], quantity: Quantity) -> MoleculeCounts:
    """One quantity of all molecules that have it."""
    return MoleculeCounts.of(quantity, [found[quantity.name] for found in molecules if quantity.name in found])


def _threshold(quantity: Quantity) -> int:
    return _MIN_COUNT if quantity.width is not None and quantity.unit != "atoms" else 1


def _packed(row: NDArray[np.float64]) -> tuple[int, list[int]]:
    used = np.flatnonzero(row)
    return int(used[0]), row[used[0] : used[-1] + 1].astype(int).tolist()
