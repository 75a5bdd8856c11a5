"""Charts: round ticks, bars as tall as the shares, outlines of one area."""

import re

import numpy as np
import pytest

from moldiff.metrics.html.plots import bar_chart, step_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1.33, 1.58, [1.35, 1.4, 1.45, 1.5, 1.55]),
        (0.0, 180.0, [0, 60, 120, 180]),
        (9.0, 27.0, [10, 15, 20, 25]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_bars_are_as_tall_as_the_shares() -> None:
    chart = bar_chart("Kinds", "% of atoms", ["C", "N"], np.array([0.8, 0.2]), [np.array([0.4, 0.6]), None])
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', chart)]
    assert np.array(heights) / heights[0] == pytest.approx([1, 0.5, 0.25, 0.75], abs=0.01)
    assert "N: 60.0 %" in chart


def test_outlines_do_not_depend_on_the_number_of_values() -> None:
    edges, counts = np.linspace(0, 1, 4), np.array([1.0, 5.0, 2.0])
    chart = step_chart("x", "Å", edges, counts, [10 * counts, None])
    real, model = re.findall(r'<path class="(?:real|file f0)" d="([^"]+)"', chart)
    assert real == model


def test_names_are_escaped() -> None:
    assert "<b>" not in bar_chart("<b>", "<b>", ["<b>"], None, [np.array([1.0])])
