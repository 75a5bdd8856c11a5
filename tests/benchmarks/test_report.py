"""The published table is the one that its measurements give."""

import json
from pathlib import Path

import pytest

from benchmarks import report

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


@pytest.fixture(scope="module")
def results():
    return json.loads((RESULTS / "speed.json").read_text())


def test_the_table_is_made_of_the_measurements(results):
    assert (RESULTS / "speed.md").read_text() == report.table(results)


def test_ratios_are_taken_repeat_by_repeat():
    rates = {"training": {"a": [2.0, 6.0, 8.0], "b": [1.0, 2.0, 8.0]}}
    assert report.ratios(rates, "training", "a", "b") == [2.0, 3.0, 1.0]
    assert report.spread([2.0, 3.0, 1.0]) == "2 (1 … 3)"


def test_what_was_not_measured_is_left_out(results):
    training = {key: rates for key, rates in results["training"].items() if key != "compiled"}
    assert "compiled, against" not in report.table({**results, "training": training})


def test_the_picture_is_drawn(results, tmp_path):
    report.plot(results, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 10_000
