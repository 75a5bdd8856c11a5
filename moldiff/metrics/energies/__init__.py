"""What is left of a molecule when it is relaxed: energy and displacement."""

from moldiff.metrics.energies.mmff import mmff_relaxation
from moldiff.metrics.energies.relaxation import Relaxation, RelaxationScores
from moldiff.metrics.energies.xtb import gfn2_relaxation

__all__ = ["Relaxation", "RelaxationScores", "gfn2_relaxation", "mmff_relaxation"]
