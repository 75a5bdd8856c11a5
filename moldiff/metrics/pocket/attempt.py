"""One score that fails must not lose the others of a molecule."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

FAILURES = (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError)
"""What RDKit, meeko, Vina and PoseBusters raise about a molecule that they cannot handle."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def attempt(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R | None:
    """The value of a function, or None if it raises one of `FAILURES`."""
    try:
        return function(*args, **kwargs)
    except FAILURES:
        return None
