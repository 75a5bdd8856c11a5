"""Small charts as inline SVG: a reference in grey, each file in its colour. Their look is in the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 260, 150  # px
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 252, 22, 130  # of the area that is drawn in


def step_chart(
    title: str,
    unit: str,
    edges: NDArray[np.float64],
    reference: NDArray[np.float64] | None,
    models: Sequence[NDArray[np.float64] | None],
) -> str:
    """Histograms as outlines, each scaled to the same area.

    Args:
        title: above the chart.
        unit: of the horizontal axis.
        edges: (K + 1,) of the bins.
        reference: (K,) counts, or None.
        models: (K,) counts of each file; None where it has none.
    """
    shares = [None if row is None or not row.sum() else row / row.sum() for row in (reference, *models)]
    highest = max((float(row.max()) for row in shares if row is not None), default=1.0)
    x = _LEFT + (edges - edges[0]) / (edges[-1] - edges[0]) * (_RIGHT - _LEFT)
    parts = []
    for k, row in enumerate(shares):
        if row is not None:
            y = _BOTTOM - row / highest * (_BOTTOM - _TOP)
            path = "".join(f"H{_n(x[i])}V{_n(y[i])}H{_n(x[i + 1])}" for i in range(len(row)))
            kind = "real" if k == 0 else f"file f{k - 1}"
            parts.append(f'<path class="{kind}" d="M{_n(x[0])} {_BOTTOM}{path}V{_BOTTOM}"/>')
    for value in ticks(float(edges[0]), float(edges[-1])):
        at = _LEFT + (value - edges[0]) / (edges[-1] - edges[0]) * (_RIGHT - _LEFT)
        parts.append(f'<path class="axis" d="M{_n(at)} {_BOTTOM}v4"/>')
        anchor = "start" if at < _LEFT + 10 else "end" if at > _RIGHT - 10 else "middle"
        parts.append(f'<text x="{_n(at)}" y="{_BOTTOM + 15}" text-anchor="{anchor}">{value:g}</text>')
    return _chart(title, unit, parts)


def bar_chart(
    title: str,
    unit: str,
    names: Sequence[str],
    reference: NDArray[np.float64] | None,
    models: Sequence[NDArray[np.float64] | None],
) -> str:
    """Shares of categories: one group of bars each, the reference's bar first.

    Args:
        title: above the chart.
        unit: what the shares are of.
        names: (K,) of the categories.
        reference: (K,) shares between 0 and 1, or None.
        models: (K,) shares of each file; None where it has none.
    """
    rows = [*([] if reference is None else [("real", reference)])]
    rows += [(f"file f{k}", row) for k, row in enumerate(models) if row is not None]
    highest = max((float(row.max(initial=0.0)) for _, row in rows), default=1.0) or 1.0
    step = (_RIGHT - _LEFT) / max(len(names), 1)
    wide = min(22.0, 0.8 * step / max(len(rows), 1))
    parts = []
    for k, name in enumerate(names):
        middle = _LEFT + (k + 0.5) * step
        for place, (kind, row) in enumerate(rows):
            left = middle + (place - len(rows) / 2) * wide
            tall = float(row[k]) / highest * (_BOTTOM - _TOP - 4)
            label = f"<title>{escape(name)}: {100 * float(row[k]):.1f} %</title>"
            box = f'x="{_n(left)}" y="{_n(_BOTTOM - tall)}" width="{_n(max(wide - 1, 1))}" height="{_n(tall)}"'
            parts.append(f'<rect class="{kind}" {box}>{label}</rect>')
        parts.append(f'<text x="{_n(middle)}" y="{_BOTTOM + 15}" text-anchor="middle">{escape(name)}</text>')
    return _chart(title, f"{unit}, up to {100 * highest:.3g}", parts)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two values, at most `most` + 1 of them."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    if low == 0 and high == 180:
        step = 60  # degrees
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _chart(title: str, unit: str, parts: Sequence[str]) -> str:
    head = f'<text class="title" x="{_LEFT}" y="13">{escape(title)}</text>'
    side = f'<text class="unit" x="{_RIGHT}" y="13" text-anchor="end">{escape(unit)}</text>'
    axis = f'<path class="axis" d="M{_LEFT} {_BOTTOM}H{_RIGHT}"/>'
    body = "".join((head, side, *parts, axis))
    return f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{body}</svg>'


def _n(value: float) -> str:
    return f"{float(value):.1f}".removesuffix(".0")
