"""Objects that remember the arguments they were made with, so that they can be written down as a config."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any


class Configured:
    """Base of the classes that a config may name: keeps the arguments of the constructor as they were given."""

    settings: Mapping[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the object and note the arguments (of a copy they are set afterwards, with its other attributes)."""
        made = super().__new__(cls)
        given = inspect.signature(cls.__init__).bind_partial(made, *args, **kwargs).arguments
        object.__setattr__(made, "settings", dict(list(given.items())[1:]))
        return made


def as_config(value: Any) -> Any:
    """Plain values (numbers, strings, lists, dictionaries) from which jsonargparse makes `value` again.

    Objects become `{"class_path": ..., "init_args": {...}}`, and so do a class and a `functools.partial` of a class.

    Raises:
        TypeError: if that is impossible: for a lambda, or an object that is not `Configured`.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: as_config(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [as_config(entry) for entry in value]
    made: Any
    settings: Mapping[str, Any]
    if isinstance(value, Configured):
        made, settings = type(value), value.settings
    elif isinstance(value, partial) and not value.args:
        made, settings = value.func, value.keywords
    else:
        made, settings = value, {}
    if not isinstance(made, type) or "<" in made.__qualname__:
        raise TypeError(f"{value!r} cannot be written as a config: give a class, or a functools.partial of one")
    return {"class_path": f"{made.__module__}.{made.__qualname__}", "init_args": as_config(settings)}
