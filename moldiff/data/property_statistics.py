"""What a model must know of a property of its training data: scale, range, and how it goes with the size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

NUM_BINS = 20  # of equal numbers of molecules


@dataclass(frozen=True)
class PropertyStatistics:
    """Moments, range and unit of a property, and its joint histogram with the number of atoms.

    Bin k holds the values from edge k-1 to edge k; the first and the last are open.
    """

    mean: float
    std: float
    min: float = -torch.inf
    max: float = torch.inf
    unit: str = ""
    edges: tuple[float, ...] = ()
    counts: Mapping[int, tuple[int, ...]] = field(default_factory=dict)  # atoms -> number of molecules in each bin

    @classmethod
    def of(cls, values: Float[Tensor, " M"], sizes: Int[Tensor, " M"], unit: str = "") -> PropertyStatistics:
        """Of molecules with these values and numbers of atoms; NaN (unknown) is left out.

        Raises:
            ValueError: if no value is known.
        """
        known = values.isfinite()
        if not known.any():
            raise ValueError("Got a property without any finite value; leave it out")
        x, sizes = values[known].double(), sizes[known]
        std = float(x.std(correction=0))
        quantiles = torch.quantile(x, torch.linspace(0, 1, NUM_BINS + 1, dtype=x.dtype)[1:-1])
        edges = sorted({float(f"{q:.6g}") for q in quantiles.tolist()})
        bins = torch.bucketize(x, torch.tensor(edges, dtype=x.dtype))
        joint = torch.zeros(int(sizes.max()) + 1, len(edges) + 1, dtype=torch.int64)
        joint.index_put_((sizes, bins), torch.ones_like(bins), accumulate=True)
        counts = {n: tuple(joint[n].tolist()) for n in sorted(set(sizes.tolist()))}
        return cls(float(x.mean()), std or 1.0, float(x.min()), float(x.max()), unit, tuple(edges), counts)

    @classmethod
    def merged(cls, parts: Sequence[PropertyStatistics], weights: Sequence[int]) -> PropertyStatistics:
        """That of the union of data sets of so many molecules, without the histogram."""
        total = max(1, sum(weights))
        mean = sum(p.mean * w for p, w in zip(parts, weights, strict=True)) / total
        square = sum((p.std**2 + (p.mean - mean) ** 2) * w for p, w in zip(parts, weights, strict=True)) / total
        return cls(mean, square**0.5, min(p.min for p in parts), max(p.max for p in parts), parts[0].unit)

    def sizes_near(self, value: float) -> dict[int, int]:
        """Number of atoms -> number of molecules with about this value."""
        place = int(torch.bucketize(torch.tensor(value, dtype=torch.float64), torch.tensor(self.edges).double()))
        return {n: counts[place] for n, counts in self.counts.items() if counts[place]}

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries and numbers, to be written as YAML or JSON."""
        counts = {n: list(numbers) for n, numbers in self.counts.items()}
        return {**asdict(self), "edges": list(self.edges), "counts": counts}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PropertyStatistics:
        """Undo `to_dict`, also after a way through JSON; models from before 0.2 have mean and std only."""
        counts = {int(n): tuple(numbers) for n, numbers in values.get("counts", {}).items()}
        return cls(**{**values, "edges": tuple(values.get("edges", ())), "counts": counts})
