"""Reading YAML that somebody else wrote: plain values only, and no more of them than the file shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 250_000  # a config has some thousand
MAX_VALUES = 100_000  # a few lines of aliases of aliases can stand for billions


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file: dictionaries, lists, numbers, strings, dates; no object of any class.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is too large, no UTF-8 or no YAML, nested too deeply, or its aliases repeat too much.
    """
    path = Path(path)
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path}: got {len(data):,} bytes; expected a config of at most {MAX_BYTES:,}: shorten it")
    try:
        text = data.decode("utf-8-sig")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = 0 if root is None else _count(root, {})
        content = yaml.safe_load(text) if values <= MAX_VALUES else None
    except Exception as error:  # yaml raises many kinds, RecursionError among them
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ValueError(f"{path} is no YAML ({reason}): mend it, or write it again") from error
    if values > MAX_VALUES:
        raise ValueError(
            f"{path}: got aliases (*name) that stand for more than {MAX_VALUES:,} values; expected one without them"
        )
    return content


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node, where each alias counts as what it stands for."""
    if id(node) not in known:
        known[id(node)] = MAX_VALUES + 1  # what holds itself has no end
        parts = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(node)]
