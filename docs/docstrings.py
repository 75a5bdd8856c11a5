"""Extension of griffe, which reads the sources for mkdocstrings: habits of this package that griffe does not know.

- A field of a dataclass is explained by a comment at the end of its line: it goes into the section `Attributes`.
- Arguments may share a line, `a, b: text`: each gets its own.
- `Example:` is a section, too.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_COMMENT = re.compile(r"  # (?!type:|noqa)(.+)$")
_SHARED = re.compile(r"^( +)(\w+), (\w+)(: .*(?:\n\1 +\S.*)*)$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites docstrings before they are parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called when an object has been read."""
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = _SHARED.sub(r"\1\2\4\n\1\3\4", text)

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called when the members of a class have been read."""
        said = {}
        for name, member in cls.members.items():
            lines = member.lines if member.is_attribute and not member.is_alias else []
            found = _COMMENT.search(lines[0]) if lines and not name.startswith("_") else None
            if found and not member.has_docstring:
                said[name] = found[1]
        if cls.docstring is not None and said and "Attributes:" not in cls.docstring.value:
            rows = "\n".join(f"    {name}: {text}" for name, text in said.items())
            cls.docstring.value += f"\n\nAttributes:\n{rows}\n"
