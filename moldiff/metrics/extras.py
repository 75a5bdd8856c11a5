"""Packages that only some scores need."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {"fcd": ("fcd_torch", "eval"), "posebusters": ("posebusters", "eval"), "xtb": ("tblite", "xtb")}
"""Name of a group of scores -> the package that it needs, and moldiff's extra that brings it."""


def require(metric: str) -> None:
    """Check that the package of a group of scores is installed.

    Raises:
        ModuleNotFoundError: if it is not.
    """
    package, extra = EXTRAS.get(metric, (None, None))
    if package is not None and find_spec(package) is None:
        raise ModuleNotFoundError(
            f"The scores {metric!r} need the package {package}, which is not installed: pip install 'moldiff[{extra}]'"
        )
