"""Scores of a relaxation, whatever the energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moldiff.metrics.mean import Mean
from moldiff.metrics.share import Share

KCAL_PER_HARTREE = 627.5094740631


@dataclass(frozen=True)
class Relaxation:
    """What happened when a molecule went to the next minimum of an energy."""

    energy: float  # kcal/mol that were set free
    rmsd: float  # Å between all atoms before and after, superposed
    converged: bool


@dataclass(frozen=True)
class RelaxationScores:
    """Means over the valid molecules (strict rule) that converged.

    Compare them with those of real molecules under the same energy: these are not its minima either.
    """

    converged: Share  # of the valid ones; the others could not be computed, or did not come to an end
    energy: Mean  # kcal/mol
    rmsd: Mean  # Å

    @classmethod
    def of(cls, values: Sequence[Relaxation | None]) -> RelaxationScores:
        """Of the relaxation of each valid molecule; None where it failed."""
        done = [value for value in values if value is not None and value.converged and math.isfinite(value.energy)]
        return cls(
            converged=Share(len(done), len(values), "valid"),
            energy=Mean.of_values([value.energy for value in done], "converged", "kcal/mol"),
            rmsd=Mean.of_values([value.rmsd for value in done], "converged", "Å"),
        )


def superposed_rmsd(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """RMSD of two structures, (N, 3) each, with atoms in the same order, after the best rotation (Kabsch 1976)."""
    p, q = a - a.mean(0), b - b.mean(0)
    u, singular, vt = np.linalg.svd(p.T @ q)
    singular[-1] *= np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0
    squared = (p**2).sum() + (q**2).sum() - 2 * singular.sum()
    return float(np.sqrt(max(squared, 0.0) / len(p)))
