"""Numbers of the table: three figures or so, none of them invented."""

import math
from dataclasses import replace

import pytest

from moldiff.metrics.calibration import Calibration
from moldiff.metrics.distributions import Distance, DistributionScores
from moldiff.metrics.edm import EDMScores
from moldiff.metrics.fcd import FrechetScore
from moldiff.metrics.mean import Mean
from moldiff.metrics.properties import PropertyScores
from moldiff.metrics.report import Report, Sizes
from moldiff.metrics.share import Interval, Share
from moldiff.metrics.strict import Cause, StrictScores, StrictVerdict
from moldiff.metrics.table import Row, _number, _percent, table_sections


@pytest.fixture
def report() -> Report:
    """Of 4 requested molecules one is valid; real molecules are known."""
    verdicts = [StrictVerdict(None, "CCO"), StrictVerdict(Cause.RADICAL), StrictVerdict(Cause.RADICAL)]
    return Report(
        4, EDMScores.of([None] * 4), StrictScores.of(verdicts, requested=4), Sizes(3, 8.04, 3.0),
        calibration=Calibration("QM9", {"strict.valid": 0.9876, "fcd": 0.25}, {"geometry.distances.angles": {7: 0.5}}),
    )  # fmt: skip


def row(report: Report, path: str) -> Row:
    (found,) = (row for rows in table_sections(report).values() for row in rows if row.path == path)
    return found


def origin(report: Report, distance: Distance) -> str:
    geometry = DistributionScores({"angles": distance}, {})
    return row(replace(report, geometry=geometry), "geometry.distances.angles").origin.strip()


def test_types_are_counted_where_there_are_several(report: Report) -> None:
    distance = Distance(0.5, None, "°", 7, 1234, 2, 3)
    assert origin(report, distance) == "1,234 in 7 molecules, 2 of 3 types (°)"
    assert origin(report, replace(distance, num_types=0, reference_types=1, unit="")) == "1,234 in 7 molecules"
    assert origin(report, replace(distance, num_types=1, reference_types=2)).endswith(", 1 of 2 types (°)")


def test_three_types_are_shown_below_their_quantity(report: Report) -> None:
    distance = Distance(0.5, Interval(0.25, 20.0), "°", 7, 1234)
    geometry = DistributionScores({"angles": distance}, {"angles": dict.fromkeys("abcd", distance)})
    (rows,) = (rows for title, rows in table_sections(replace(report, geometry=geometry)).items() if "Wasser" in title)
    assert [row.label for row in rows] == ["angles", "  a", "  b", "  c"]
    assert {(row.value, row.interval) for row in rows} == {("0.500", "[0.250,  20.0]")}
    assert [row.real for row in rows] == ["0.500", "–", "–", "–"]


def test_shares_are_in_percent_with_their_interval(report: Report) -> None:
    valid = row(report, "strict.valid")
    assert (valid.value, valid.real) == ("25.0", "98.8")
    low, high = (100 * bound for bound in report.strict.valid.interval)
    assert valid.interval == f"[{low:5.1f}, {high:5.1f}]"
    assert valid.origin.split() == ["1", "/", "4", "requested"]
    nothing = row(report, "edm.atom_stable")
    assert (nothing.value, nothing.interval, nothing.real) == ("–", "", "–")


def test_causes_are_shown_that_occur(report: Report) -> None:
    labels = [row.label for rows in table_sections(report).values() for row in rows]
    assert [label for label in labels if label.startswith("not valid")] == ["not valid: missing", "not valid: radical"]


def test_means_have_units_and_medians(report: Report) -> None:
    properties = replace(PropertyScores.of([]), weight=Mean(46.07, None, 45.0, 1200, "valid", "g/mol"))
    weight = row(replace(report, properties=properties), "properties.weight")
    assert (weight.value, weight.interval) == ("46.1", "")
    assert weight.origin.strip() == "1,200 valid, median 45.0 g/mol"
    assert row(replace(report, properties=properties), "properties.qed").origin.strip() == "0 valid, median –"


def test_a_score_without_a_part(report: Report) -> None:
    found = row(replace(report, fcd=FrechetScore(1.5, 3000, 6542)), "fcd")
    assert (found.label, found.value, found.interval, found.real) == ("FCD", "1.50", "", "0.250")
    assert found.origin.strip() == "3,000 against 6,542"


def test_what_the_reader_must_know(report: Report) -> None:
    text = str(replace(report, reference="mine", notes=("a", "b")))
    assert text.endswith(
        "Novel: not in mine\n"
        "Real: the same score of QM9; for a distance, of as many as there are here\n"
        "Mean size: 8.0 atoms, 3.0 of them heavy\nNote: a\nNote: b"
    )
    assert "real" in text.splitlines()[2]
    bare = str(replace(report, calibration=None, sizes=Sizes(0, math.nan, math.nan)))
    assert "eal" not in bare
    assert "Mean size" not in bare
    one = str(replace(report, sizes=Sizes(1, 9.0, 3.0)))
    assert "Mean size: 9.0 atoms" in one
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (123.456, "123.5"),
        (10.0, "10.0"),
        (-9.994, "-9.99"),
        (1.0, "1.00"),
        (0.9994, "0.999"),
        (0.05, "0.050"),
        (0.0499, "0.0499"),
        (0.0, "0.000"),
    ],
)
def test_numbers(value, text):
    assert _number(value) == text


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [
        (6805, 10000, "68.1"),
        (1, 3, "33.3"),
        (2, 3, "66.7"),
        (0, 7, "0.0"),
        (7, 7, "100.0"),
        (1, 2000, "0.1"),
        (0, 0, "–"),
    ],
)
def test_halves_of_a_tenth_are_rounded_up(count, total, text):
    assert _percent(Share(count, total, "requested")) == text
