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
        (0.0, 5.0, [0, 1, 2, 3, 4, 5]),
        (0.0, 11.0, [0, 5, 10]),  # at steps of 2 there would be six
        (0.0, 40.0, [0, 10, 20, 30, 40]),
        (0.0, 170.0, [0, 50, 100, 150]),
        (-5.0, 180.0, [0, 50, 100, 150]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_bars_are_as_tall_as_the_shares() -> None:
    chart = bar_chart("Kinds", "% of atoms", ["C", "N"], np.array([0.8, 0.2]), [np.array([0.4, 0.6]), None])
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', chart)]
    assert np.array(heights) / heights[0] == pytest.approx([1, 0.5, 0.25, 0.75], abs=0.01)
    assert "N: 60.0 %" in chart


Bar = tuple[str, float, float, float, float]


def bars(chart: str) -> list[Bar]:
    """Class, x, y, width and height of each bar."""
    found = re.findall(r'<rect class="([\w ]+)" x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"', chart)
    return [(kind, *map(float, numbers)) for kind, *numbers in found]  # type: ignore[misc]


@pytest.mark.parametrize("num_files", [0, 1, 2, 6])
@pytest.mark.parametrize("num_names", [1, 3, 8])
def test_bars_stay_in_the_frame_and_apart(num_names: int, num_files: int) -> None:
    """Groups are centred in equal parts of the axis; a bar is at most 22 px wide, a group 80 % of its part."""
    shares = np.linspace(0.1, 0.9, num_names)
    names = [f"n{k}" for k in range(num_names)]
    chart = bar_chart("Kinds", "% of atoms", names, shares, [shares] * num_files)
    found, part, rows = bars(chart), (252 - 8) / num_names, num_files + 1
    spacing = min(22, 0.8 * part / rows)
    assert len(found) == num_names * rows
    assert [float(x) for x in re.findall(r'<text x="([\d.]+)" y="145"', chart)] == pytest.approx(
        [8 + part * (k + 0.5) for k in range(num_names)], abs=0.06
    )
    for k in range(num_names):
        group = found[k * rows : (k + 1) * rows]
        assert [kind for kind, *_ in group] == ["real", *(f"file f{place}" for place in range(num_files))]
        assert [x for _, x, *_ in group] == pytest.approx(
            [8 + part * (k + 0.5) + spacing * (place - rows / 2) for place in range(rows)], abs=0.06
        )
    for _, x, y, width, height in found:
        assert 8 <= x < x + width <= 252
        assert width == pytest.approx(spacing - 1, abs=0.06)
        assert y + height == pytest.approx(130, abs=0.11)  # all stand on the axis
    assert max(height for *_, height in found) == pytest.approx(130 - 26)  # room for the title


def test_many_bars_are_thin_but_there() -> None:
    chart = bar_chart("x", "y", [str(k) for k in range(60)], None, [np.full(60, 0.01)] * 6)
    assert {width for _, _, _, width, _ in bars(chart)} == {1.0}


def test_the_scale_of_bars_is_told() -> None:
    for highest, text in ((1.0, "100"), (0.996, "99.6"), (0.8, "80"), (0.0432, "4.32")):
        assert f"% of atoms, up to {text}<" in bar_chart("Kinds", "% of atoms", ["C"], None, [np.array([highest])])


def test_bars_of_nothing_are_flat() -> None:
    chart = bar_chart("x", "y", ["C", "N"], np.zeros(2), [])
    assert [height for *_, height in bars(chart)] == [0, 0]
    assert "nan" not in chart
    assert bars(bar_chart("x", "y", ["C"], None, [None])) == bars(bar_chart("x", "y", [], np.zeros(0), [])) == []
    for empty in (bar_chart("x", "y", ["C"], None, [None]), bar_chart("x", "y", [], np.zeros(0), [])):
        assert "up to 100<" in empty


def test_what_has_no_values_has_no_outline() -> None:
    edges = np.linspace(0, 1, 3)
    chart = step_chart("x", "", edges, np.zeros(2), [None, np.array([1.0, 1.0]), np.zeros(2)])
    assert re.findall(r'<path class="(real|file f\d)"', chart) == ["file f1"]
    assert re.findall(r'<path class="(real|file f\d)"', step_chart("x", "", edges, None, [None])) == []


@pytest.mark.parametrize(("pixels", "anchor"), [(9.5, "edge"), (10.5, "middle")])
def test_labels_near_an_edge_end_there(pixels: float, anchor: str) -> None:
    """So that they stay inside: 10 px are half of a label."""
    margin, row = pixels / 100, [np.array([1.0])]
    left = step_chart("x", "", np.array([-margin, 2.44 - margin]), None, row)
    right = step_chart("x", "", np.array([margin - 2.44, margin]), None, row)
    label = r'text-anchor="(\w+)">-?0</text>'
    assert re.findall(label, left) == ["start" if anchor == "edge" else "middle"]
    assert re.findall(label, right) == ["end" if anchor == "edge" else "middle"]


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
