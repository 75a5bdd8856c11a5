"""Distributions of lengths, angles, torsions, atoms, bonds, rings and sizes against those of a reference."""

from moldiff.metrics.distributions.distance import jensen_shannon, wasserstein
from moldiff.metrics.distributions.profile import Profile
from moldiff.metrics.distributions.quantities import QUANTITIES, count_quantities
from moldiff.metrics.distributions.scores import Distance, DistributionScores, noise_floors

__all__ = [
    "QUANTITIES",
    "Distance",
    "DistributionScores",
    "Profile",
    "count_quantities",
    "jensen_shannon",
    "noise_floors",
    "wasserstein",
]
