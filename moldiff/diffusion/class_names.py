"""What the config of a model may name: making an object of any class, or only importing it, can run any code."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGES = ("moldiff.models", "moldiff.diffusion", "moldiff.nn")
"""Classes that are defined there may be named."""

LARGEST = 1_000_000
"""No width, number of steps or number of layers is larger."""

TRUST = "allow it by --trust_classes, or trust=True in Python (of a teacher: --model.trust_classes true)"

_PLAIN = r"[\w.+-]*( \+ [\w.+-]+)*"  # such as 64x0e + 32x1o; jsonargparse reads strings as YAML

PROPERTIES = "properties"
"""Names of properties are those of somebody's data: any text."""


def check_classes(spec: Any, path: str | Path, known: Collection[str] = (), remedy: str = TRUST) -> None:
    """Whether a spec, read from a model's config or checkpoint, names only classes of this package. None is imported.

    Args:
        spec: nested dictionaries and lists of plain values.
        path: where it comes from, for the message.
        known: import paths of further classes, which the user has named.
        remedy: what to do if one is named, for the message.

    Raises:
        ValueError: if it names anything else, or holds what no config of a model holds.
    """
    for value in _values(spec, path):
        if isinstance(value, str) and not re.fullmatch(_PLAIN, value):
            raise ValueError(
                f"the config of the model at {path} holds the text {value[:80]!r}; expected names and numbers only. "
                "Export the model again"
            )
        if isinstance(value, str) and _is_import_path(value) and value not in known and not _is_ours(value):
            raise ValueError(
                f"the model at {path} names {value!r}, which is no class of {', '.join(PACKAGES)}, and so could run "
                f"any code. If you trust whoever made the model, {remedy}"
            )
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(
                f"the config of the model at {path} holds the number {value}; expected at most {LARGEST:,}. Export the "
                "model again"
            )


def class_paths(config: Any) -> set[str]:
    """The class paths in a parsed config: nested mappings with keys `class_path`."""
    found = set()
    if isinstance(config, Mapping):
        if isinstance(config.get("class_path"), str):
            found.add(config["class_path"])
        found |= {path for value in config.values() for path in class_paths(value)}
    elif isinstance(config, list | tuple):
        found |= {path for value in config for path in class_paths(value)}
    return found


def _values(spec: Any, path: str | Path) -> Iterator[str | int | float | None]:
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            if not isinstance(key, str) or not key.isidentifier() or key.startswith("_"):
                raise ValueError(f"the config of the model at {path} has the key {key!r}; expected names of arguments")
            if key != PROPERTIES or not _are_texts(value):
                yield from _values(value, path)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from _values(value, path)
    elif spec is None or isinstance(spec, str | int | float):
        yield spec
    else:
        raise ValueError(f"the config of the model at {path} holds a {type(spec).__name__}; expected names and numbers")


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _is_import_path(text: str) -> bool:
    return "." in text and all(part.isidentifier() for part in text.split("."))


def _is_ours(path: str) -> bool:
    """Whether it is a class that is defined in this package; only modules of this package are imported."""
    module, _, name = path.rpartition(".")
    if not any(f"{module}.".startswith(f"{package}.") for package in PACKAGES):
        return False
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and any(f"{found.__module__}.".startswith(f"{package}.") for package in PACKAGES)
