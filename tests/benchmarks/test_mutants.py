"""Mutants mean something else than the program, and can be told by their names."""

import ast
import importlib.util

import pytest
import yaml

from benchmarks.mutants import EQUIVALENT, ROOT, Traced, chosen_for, draw
from benchmarks.mutation import mutants, patch

SOURCE = '''"""A docstring with 1 number."""

from __future__ import annotations

LIMIT: int = 3


class Counter:
    __slots__ = ("count",)

    def __init__(self, count: int = 1) -> None:
        assert count >= 0
        self.count = count

    def above(self, limit: int = 2) -> bool:
        """Whether there is more than é 1."""
        if self.count > limit and limit >= 0:
            raise ValueError(f"é {limit + 1}")
        return self.count + limit == (
            LIMIT * 2
        )
'''


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "counter.py"
    place.write_text(SOURCE, encoding="utf-8")
    return place


def load(path):
    spec = importlib.util.spec_from_file_location("counter", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_changed(path):
    """Neither annotations, texts, `__slots__` nor assertions."""
    found = {mutant.change for mutant in mutants(path.parent, path)}
    assert found == {
        *("3 -> (4)", "3 -> (2)", "1 -> (2)", "1 -> (0)", "2 -> (3)", "2 -> (1)", "0 -> (1)", "0 -> (-1)"),
        "self.count = count -> pass",
        "self.count > limit -> (self.count >= limit)",
        "limit >= 0 -> (limit > 0)",
        "self.count > limit and limit >= 0 -> (self.count > limit or limit >= 0)",
        "self.count > limit and limit >= 0 -> (not (self.count > limit and limit >= 0))",
        'raise ValueError(f"é {limit + 1}") -> pass',
        "self.count + limit == ( LIMIT * 2 ) -> (self.count + limit != LIMIT * 2)",
        "self.count + limit == ( LIMIT * 2 ) -> None",
        "self.count + limit -> (self.count - limit)",
        "LIMIT * 2 -> (LIMIT / 2)",
    }


@pytest.mark.parametrize("package", ["diffusion", "metrics", "chem"])
def test_all_mutants_of_the_package_are_other_programs(package):
    for mutant in draw(package, 200, seed=1):
        source = (ROOT / mutant.path).read_bytes()
        assert ast.dump(ast.parse(mutant.apply(source))) != ast.dump(ast.parse(source)), mutant
        assert mutant.text in source.decode().split("\n")[mutant.line - 1]


def test_equivalent_mutants_are_mutants_of_the_program_as_it_is():
    for name, reason in yaml.safe_load(EQUIVALENT.read_text()).items():
        path = name.split(":")[0]
        assert name in {mutant.name for mutant in mutants(ROOT, ROOT / path)}
        assert reason


def test_draws_are_those_of_the_seed():
    first, again, other = (draw("chem", 30, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len(set(first)) > 25


def outcome(module):
    """What happens when the module is used."""
    try:
        return module.Counter(4).above(2)
    except (ValueError, AttributeError) as error:
        return str(error)


def test_a_loaded_function_gets_the_code_of_a_mutant(path):
    """What runs at import needs a new import: constants of the module, and defaults."""
    for mutant in mutants(path.parent, path):
        path.write_text(SOURCE, encoding="utf-8")
        old = load(path)
        path.write_bytes(mutant.apply(SOURCE.encode()))
        expected = outcome(load(path))
        if patch(mutant, path):
            assert outcome(old) == expected, mutant
        else:
            assert mutant.line in (5, 11, 15), mutant


def test_tests_of_a_mutant_run_its_line(path):
    mutant = mutants(path.parent, path)[-1]
    lines = [frozenset({mutant.line}), frozenset({1}), frozenset({mutant.last, 1})]
    known = [Traced(str(k), 3.0 - k, {mutant.path: ran}) for k, ran in enumerate(lines)]
    assert [test.name for test in chosen_for(mutant, known)] == ["2", "0"]  # the fastest first
    assert [test.name for test in chosen_for(mutant, known[1:2])] == ["1"]  # none runs the line, but one uses the file
    assert chosen_for(mutant, []) == []
    tables = [Traced("x", 1.0, {}, frozenset({mutant.path})), Traced("y", 1.0, {})]
    assert [test.name for test in chosen_for(mutant, tables)] == ["x"]  # nothing in the file is called, but it is read
