"""Limits on sizes and names that keep the package readable."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("moldiff", "tests", "notebooks", "benchmarks", "docs")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
RULED_OUT = {"utils", "util", "common", "helpers", "constants", "scripts", "misc"}


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    assert lines_of(path) <= 400, "split the file by what its parts are about"
    assert {name: length for name, length in functions(path) if length > 80} == {}, "split the functions"


def test_median_file_is_short() -> None:
    lengths = sorted(lines_of(path) for path in FILES if path.is_relative_to(ROOT / "moldiff"))
    assert lengths[len(lengths) // 2] <= 120


def test_names_say_what_is_inside() -> None:
    """A module called utils gathers whatever has no place; one called model_v2 is a copy of another."""
    names = {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert names & RULED_OUT == set()
    assert {name for name in names if name.endswith(("_new", "_old", "_v2"))} == set()


@pytest.mark.parametrize(("name", "shortest", "longest"), [("README.md", 100, 150), ("CONTRIBUTING.md", 1, 60)])
def test_pages_are_short(name: str, shortest: int, longest: int) -> None:
    assert shortest <= lines_of(ROOT / name) <= longest
