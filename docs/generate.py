"""What MkDocs asks for while it builds the site: the parts of it that are made from the code, so that they stay true.

- `<!-- commands -->` in a page becomes the reference of the command line, from signatures and docstrings;
- `<!-- names of MODULE -->` becomes a mkdocstrings directive for each public name of the module;
- `<!-- fields of MODULE.CLASS -->` becomes a table of a dataclass's fields and the comments beside them;
- `<!-- file PATH -->` becomes the text of a Python file, PATH from the root of the repository;
- every folder of `moldiff/weights` gets a page with its card.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docstring_parser
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from moldiff import cli

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = Path(cli.__file__).parent / "weights"
_NAMES = re.compile(r"^<!-- names of ([\w.]+) -->$", re.MULTILINE)
_FILE = re.compile(r"^<!-- file (\S+) -->$", re.MULTILINE)
_FIELDS = re.compile(r"^<!-- fields of ([\w.]+)\.(\w+) -->$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the model cards to the navigation."""
    for section in config.nav or []:
        if "Model cards" in section:
            section["Model cards"] += [{name: f"models/{name}.md"} for name in bundled_models()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each model card, as it is."""
    for name in bundled_models():
        card = (WEIGHTS / name / "card.md").read_text(encoding="utf-8")
        files.append(File.generated(config, f"models/{name}.md", content=card))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what is generated in the place of its marker."""
    described = {**commands(), "sample --optimize": cli.improve}
    order = sorted(described, key=lambda name: list(commands()).index(name.split()[0]))
    text = "\n\n".join(command_text(name, described[name]) for name in order)
    markdown = markdown.replace("<!-- commands -->", text)
    markdown = _FIELDS.sub(lambda match: field_table(match[1], match[2]), markdown)
    markdown = _FILE.sub(lambda match: f"```python\n{(ROOT / match[1]).read_text(encoding='utf-8')}```", markdown)
    return _NAMES.sub(lambda match: "\n\n".join(f"::: {path}" for path in public_paths(match[1])), markdown)


def bundled_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(card.parent.name for card in WEIGHTS.glob("*/card.md"))


def commands() -> dict[str, Callable[..., Any]]:
    """The package's own commands, in the order of `moldiff --help`; Lightning's are explained by their classes."""
    names = re.findall(r"^  ([\w-]+)  ", cli.HELP, re.MULTILINE)
    return {name: getattr(cli, name.replace("-", "_")) for name in names if name not in cli.TRAINER_COMMANDS}


def command_text(name: str, function: Callable[..., Any]) -> str:
    """Heading, purpose and table of options of one command, in Markdown."""
    said = docstring_parser.parse(function.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
    meanings = {argument.arg_name: " ".join((argument.description or "").split()) for argument in said.params}
    rows = ["| option | type | default | meaning |", "|---|---|---|---|"]
    for option in inspect.signature(function).parameters.values():
        kind = str(option.annotation).removesuffix(" | None").replace("|", r"\|")
        if kind.startswith("Literal["):
            kind = kind.removeprefix("Literal[").removesuffix("]").replace("'", "")
        kind = kind if kind != "bool" else "switch"
        default = "*required*" if option.default is option.empty else f"`{option.default}`"
        default = default.replace("`None`", "–").replace("`False`", "off")
        meaning = meanings[option.name].replace("|", r"\|")
        rows.append(f"| `--{option.name}` | {kind} | {default} | {meaning} |")
    parts = (f"## moldiff {name}", said.short_description, said.long_description, "\n".join(rows))
    return "\n\n".join(part for part in parts if part)


def field_table(module: str, name: str) -> str:
    """Table of the fields of a dataclass that have a comment beside them, in Markdown."""
    source = inspect.getsource(getattr(importlib.import_module(module), name))
    found = re.findall(r"^    (\w+): [^#\n]+?  # (.+)$", source, re.MULTILINE)
    rows = [f"| `{field}` | {comment.replace('|', chr(92) + '|')} |" for field, comment in found]
    return "\n".join(["| score | definition |", "|---|---|", *rows])


def public_paths(module: str) -> list[str]:
    """Where each public name of a module is defined: classes and functions by their own module, others as imported."""
    found = importlib.import_module(module)
    own = (
        name
        for name, value in vars(found).items()
        if name[0] != "_" and inspect.isroutine(value) | inspect.isclass(value) and value.__module__ == module
    )
    names = getattr(found, "__all__", None) or list(own)
    paths = []
    for name in names:
        value = getattr(found, name)
        if callable(value) and hasattr(value, "__qualname__"):
            paths.append(f"{value.__module__}.{value.__qualname__}")
        elif not name.startswith("__"):
            paths.append(f"{module}.{name}")
    return paths
