"""Extension of griffe, which reads the sources for mkdocstrings: what stands beside a field is said of it.

The fields of dataclasses are explained by comments at the end of their lines. They are put into the docstring of the
class, as the section `Attributes`.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_COMMENT = re.compile(r"  # (?!type:|noqa)(.+)$")


class FieldComments(griffe.Extension):
    """Adds the commented fields of every class to its docstring."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called when a class has been read."""
        said = {}
        for name, member in cls.members.items():
            lines = member.lines if member.is_attribute and not member.is_alias else []
            found = _COMMENT.search(lines[0]) if lines and not name.startswith("_") else None
            if found and not member.has_docstring:
                said[name] = found[1]
        if cls.docstring is not None and said and "Attributes:" not in cls.docstring.value:
            rows = "\n".join(f"    {name}: {text}" for name, text in said.items())
            cls.docstring.value += f"\n\nAttributes:\n{rows}\n"
