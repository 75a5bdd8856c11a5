"""Molecules in 3D by equivariant diffusion: train, sample, score.

Conventions of the whole package: time ``t = 0`` is data and ``t = 1`` is noise; lengths are in Å, charges in e,
energies in eV; coordinates are row vectors. Importing the package loads neither torch nor RDKit: the public names are
fetched when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moldiff.diffusion.steering import Steering
    from moldiff.generator import MoleculeGenerator
    from moldiff.metrics import evaluate

__version__ = "0.1.0"
__all__ = ["MoleculeGenerator", "Steering", "__version__", "evaluate"]

_HOME = {
    "MoleculeGenerator": "moldiff.generator",
    "Steering": "moldiff.diffusion.steering",
    "evaluate": "moldiff.metrics",
}


def __getattr__(name: str) -> object:
    """Fetch a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'moldiff' has no attribute {name!r}; public names: {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """List the names that exist, fetched or not."""
    return sorted({*globals(), *__all__})
