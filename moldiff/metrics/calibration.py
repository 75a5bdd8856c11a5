"""What real molecules score, to stand beside every figure: 95.2 is not a miss where they reach 95.2 themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

OF_ONE_SIZE = ("diversity.distinct_scaffolds", "diversity.known_scaffolds")
"""Shares that fall as a set of molecules grows: those of real molecules are left out."""


@dataclass(frozen=True)
class Calibration:
    """The scores of a sample of the reference. Rows are named by their path in a report: "edm.molecule_stable"."""

    name: str  # what was scored
    values: dict[str, float] = field(default_factory=dict)
    by_size: dict[str, dict[int, float]] = field(default_factory=dict)
    """Distances from the reference, which shrink as the sample grows: row -> number of molecules -> mean distance."""

    def at(self, row: str, num_molecules: int) -> float | None:
        """The score of real molecules, as many as there are in the case of a distance; None if it is not known.

        Between the sizes that were tried, and beyond them, the logarithm of a distance is linear in that of the size.
        """
        if row not in self.by_size or num_molecules < 1:
            return self.values.get(row)
        known = {n: d for n, d in sorted(self.by_size[row].items()) if d > 0}
        if len(known) < 2:
            return next(iter(known.values()), None)
        x, y = np.log(list(known)), np.log(list(known.values()))
        k = int(np.clip(np.searchsorted(x, math.log(num_molecules)) - 1, 0, len(x) - 2))
        slope = (y[k + 1] - y[k]) / (x[k + 1] - x[k])
        return float(np.exp(y[k] + slope * (math.log(num_molecules) - x[k])))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        by_size = {row: {str(n): d for n, d in sizes.items()} for row, sizes in self.by_size.items()}
        return {"name": self.name, "values": self.values, "by_size": by_size}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Undo `to_dict`."""
        by_size = {row: {int(n): d for n, d in sizes.items()} for row, sizes in values["by_size"].items()}
        return cls(values["name"], values["values"], by_size)
