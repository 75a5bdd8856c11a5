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


def test_outlines_fill_the_frame() -> None:
    """From the left edge to the right one, and from the line at the bottom up to the highest value."""
    chart = step_chart("x", "Å", np.array([3.0, 4.0, 7.0]), None, [np.array([1.0, 3.0])])
    assert re.findall(r'<path class="file f0" d="([^"]+)"', chart) == ["M8 130H8V94H69H69V22H252V130"]
    labels = re.findall(r'<text x="([\d.]+)" y="145" text-anchor="(\w+)">([\d.]+)</text>', chart)
    assert labels == [
        ("8", "start", "3"),
        ("69", "middle", "4"),
        ("130", "middle", "5"),
        ("191", "middle", "6"),
        ("252", "end", "7"),
    ]


def test_names_are_escaped() -> None:
    assert "<b>" not in bar_chart("<b>", "<b>", ["<b>"], None, [np.array([1.0])])
