"""What real molecules score, at the size of a set."""

import numpy as np
import pytest

from moldiff.metrics.calibration import Calibration


def at(sizes: dict[int, float], number: int) -> float | None:
    return Calibration("some", {"b": 0.5}, {"b": sizes}).at("b", number)


@pytest.mark.parametrize(
    ("number", "expected"), [(1, 100.0), (10, 10.0), (100, 1.0), (1000, 0.1), (10_000, 0.05), (100_000, 0.025)]
)
def test_a_distance_is_a_power_of_the_size_between_those_that_were_tried(number: int, expected: float) -> None:
    """1 / size up to 1,000, and then half of it for ten times as many; the ends go on as they are."""
    sizes = {10_000: 0.05, 100: 1.0, 1000: 0.1}  # in any order
    assert at(sizes, number) == pytest.approx(expected)


def test_little_is_known() -> None:
    assert at({100: 0.3}, 7) == 0.3
    assert at({100: 0.3, 1000: 0.0}, 7) == 0.3  # a distance of 0 has no logarithm
    assert at({100: 0.0}, 7) is None
    assert at({100: 0.3, 1000: 0.2}, 0) == 0.5  # of no molecules there is no distance


def test_power_laws_of_any_slope() -> None:
    for slope in (-1.5, -0.5, 0.3):
        sizes = {n: 2.0 * n**slope for n in (100, 300, 1000)}
        for number in (2, 100, 170, 300, 5000):
            assert at(sizes, number) == pytest.approx(2.0 * np.float64(number) ** slope)
