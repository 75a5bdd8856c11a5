"""Balls and sticks where geometry says they are."""

import numpy as np
import pytest

from moldiff.chem.raster import _Canvas, _draw_ball, _draw_stick, view_extent

GREY, RED = np.array([0.5, 0.5, 0.5]), np.array([1.0, 0.0, 0.0])
GRID = np.linspace(-2, 2, 161)  # Å, 0.025 apart


def canvas() -> _Canvas:
    shape = (len(GRID), len(GRID))
    return _Canvas(GRID, GRID[::-1], np.full(shape, -np.inf), np.zeros((*shape, 3)), np.ones((*shape, 3)))


def points(drawn: _Canvas) -> np.ndarray:
    """(K, 3): what is seen, in Å."""
    rows, columns = np.isfinite(drawn.depth).nonzero()
    return np.stack([drawn.x[columns], drawn.y[rows], drawn.depth[rows, columns]], -1)


def test_a_ball_is_the_front_half_of_a_sphere() -> None:
    drawn, centre = canvas(), np.array([0.4, -0.3, 0.7])
    _draw_ball(drawn, centre, 0.5, RED)
    seen = points(drawn)
    np.testing.assert_allclose(np.linalg.norm(seen - centre, axis=1), 0.5)
    assert (seen[:, 2] > 0.7).all()
    assert len(seen) * 0.025**2 == pytest.approx(np.pi * 0.5**2, rel=0.02)
    normal = drawn.normal[np.isfinite(drawn.depth)]
    np.testing.assert_allclose(normal, (seen - centre) / 0.5, atol=1e-9)


@pytest.mark.parametrize(
    "ends", [[(-1, 0.2, 0), (1, 0.2, 0)], [(-0.9, -0.4, -0.6), (0.7, 0.8, 0.9)], [(0, -1, 1), (0.3, 1, 0)]]
)
def test_a_stick_is_the_front_of_a_cylinder(ends: list[tuple[float, float, float]]) -> None:
    """Every seen point lies on it, faces the viewer, and has the colour of the nearer end; none is missing."""
    drawn, ends = canvas(), np.array(ends, dtype=float)
    _draw_stick(drawn, ends, 0.2, np.stack([GREY, RED]))
    axis = ends[1] - ends[0]
    length = np.linalg.norm(axis)
    axis /= length
    seen, there = points(drawn), np.isfinite(drawn.depth)
    place = (seen - ends[0]) @ axis
    away = seen - ends[0] - place[:, None] * axis
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 0.2)
    np.testing.assert_allclose(drawn.normal[there], away / 0.2, atol=1e-9)
    assert (away[:, 2] > 0).all()
    assert place.min() == pytest.approx(0, abs=0.06)
    assert place.max() == pytest.approx(length, abs=0.06)
    red = (drawn.colour[there] == RED).all(1)
    assert (red == (place >= length / 2)).all()
    shown = 2 * 0.2 * np.hypot(*axis[:2]) * length  # the area of the half that faces the viewer, as it is seen
    assert len(seen) * 0.025**2 == pytest.approx(shown, rel=0.07)  # 16 pixels wide


def test_what_is_nearer_hides_what_is_behind() -> None:
    front, back = np.array([0.0, 0.0, 1.0]), np.array([0.2, 0.0, -1.0])
    for order in ((front, back), (back, front)):
        drawn = canvas()
        for centre in order:
            _draw_ball(drawn, centre, 0.5, RED if centre is front else GREY)
        middle = len(GRID) // 2
        assert (drawn.colour[middle, middle] == RED).all()
        assert drawn.depth[middle, middle] == pytest.approx(1.5)


def test_a_stick_along_the_line_of_sight_is_not_seen() -> None:
    drawn = canvas()
    _draw_stick(drawn, np.array([[0.0, 0, 0], [0.0, 0, 1.5]]), 0.2, np.stack([GREY, RED]))
    assert not len(points(drawn))


def test_a_view_has_a_margin() -> None:
    """That holds the largest ball."""
    assert view_extent(np.array([[1.0, -2.0, 9.0], [-3.0, 0.5, 0.0]])) == (3.55, 2.55)
