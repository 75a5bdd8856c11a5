"""Numbers of the table: three figures or so, none of them invented."""

import pytest

from moldiff.metrics.share import Share
from moldiff.metrics.table import _number, _percent


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
