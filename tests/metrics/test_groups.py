"""Passes over molecules, notes on what failed, and what a record without hydrogens is filled with."""

import io
import os
from typing import Any

import pytest
from rdkit import Chem
from tqdm import tqdm

from moldiff.metrics.command import unreadable
from moldiff.metrics.groups import Passes, Picked, check_metrics, judge
from moldiff.metrics.hydrogens import filled
from moldiff.metrics.parallel import run_each


def refuse(item: Any) -> None:
    raise ValueError(f"{'x' * 300}\nsecond line")


@pytest.mark.parametrize(("count", "more"), [(1, False), (5, False), (6, True)])
def test_five_molecules_that_failed_are_named(count: int, more: bool) -> None:
    passes = Passes([None] * 9, 1)
    assert passes.each("check", refuse, range(2, 2 + count)) == [None] * count
    (note,) = passes.notes
    assert note.startswith(f"check: {count} of {count} molecules could not be checked: number 3 (ValueError: xxx")
    assert note.count("number") == min(count, 5)
    assert note.endswith(", ...") is more


def test_nothing_is_noted_of_what_went_well() -> None:
    passes = Passes([None], 1)
    assert passes.each("check", len, [0], ["abc"]) == [3]
    assert passes.notes == []


def test_titles_are_told() -> None:
    mols = [Chem.MolFromSmiles("C") for _ in range(3)]
    mols[1].SetProp("_Name", " methane ")
    mols[2].SetProp("_Name", " ")
    passes = Passes(mols, 1)
    passes.each("check", refuse, [0, 1, 2])
    assert "number 1 (" in passes.notes[0]
    assert "number 2, methane (" in passes.notes[0]
    assert "number 3 (" in passes.notes[0]


def test_picked_are_those_at_the_places() -> None:
    mols: list[Any] = list("abcdef")
    picked = Picked(mols, [4, 1, 3])
    assert (len(picked), list(picked), picked[1], picked[1:]) == (3, ["e", "b", "d"], "b", ["b", "d"])


def test_faults_are_one_short_line() -> None:
    fault = run_each(refuse, [1], "").faults[0]
    assert fault == f"ValueError: {'x' * 300}"[:200]


def test_one_item_needs_no_worker() -> None:
    here = "__import__('os').getpid()"
    assert run_each(eval, [here], "", 2).values == (os.getpid(),)
    assert run_each(eval, [here] * 3, "", 1).values == (os.getpid(),) * 3


@pytest.mark.parametrize(("count", "shown"), [(1000, False), (1001, True)])
def test_a_bar_is_shown_where_it_takes_long(count: int, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process, from 1,001 molecules on; it counts each of them."""
    bars = []

    class Bar(tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            bars.append((self, kwargs["disable"]))
            super().__init__(*args, **{**kwargs, "disable": False, "file": io.StringIO()})

    monkeypatch.setattr("moldiff.metrics.parallel.tqdm", Bar)
    run_each(abs, [-1] * count, "numbers")
    ((bar, disabled),) = bars
    assert disabled is (None if shown else True)  # None: unless the output is no terminal
    assert (bar.n, bar.total) == (count, count)


def test_verdicts_know_sizes(embed) -> None:
    verdict = judge(embed("CCO"))
    assert (verdict.num_atoms, verdict.num_heavy, verdict.num_fragments, verdict.has_coordinates) == (9, 3, 1, True)
    flat = judge(Chem.MolFromSmiles("C.O"))
    assert (flat.num_atoms, flat.num_fragments, flat.has_coordinates) == (2, 2, False)
    assert judge(None).num_atoms == judge(None).num_fragments == 0


def test_metrics_are_a_list() -> None:
    check_metrics(["basic", "geometry"])
    with pytest.raises(ValueError, match=r"for example \['xtb'\]"):
        check_metrics("xtb,basic")


@pytest.mark.parametrize(("count", "more"), [(10, False), (11, True)])
def test_ten_records_that_cannot_be_read_are_named(count: int, more: bool) -> None:
    whole = Chem.MolFromSmiles("C")
    (note,) = unreadable([whole, *[None] * count])
    numbers = ", ".join(str(k) for k in range(2, 12))
    assert note == f"{count} of {count + 1} records are unreadable or without atoms: record {numbers}" + ", ..." * more
    assert unreadable([whole, whole]) == unreadable([]) == []


def test_what_has_no_bonds_is_not_filled() -> None:
    """Two atoms without a bond are not a molecule; one atom is."""
    methane, loose = Chem.MolFromSmiles("C"), Chem.MolFromSmiles("C.C")
    whole, added = filled([methane, loose, None])
    assert added
    assert [mol and mol.GetNumAtoms() for mol in whole] == [5, 2, None]
    nothing, added = filled([None, None])
    assert (nothing, added) == ([None, None], False)
    some = [Chem.AddHs(methane), loose]
    assert filled(some) == (some, False)
