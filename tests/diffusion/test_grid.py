"""Laws of all time grids."""

import pytest
import torch

from moldiff.diffusion import GeometricGrid, PowerGrid, TimeGrid, UniformGrid

GRIDS = [UniformGrid(), GeometricGrid(), GeometricGrid(0.2), PowerGrid(), PowerGrid(5.0, 0.1)]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("num_steps", [1, 2, 7, 1000])
def test_falls_from_noise_to_data(grid: TimeGrid, num_steps: int) -> None:
    times = grid(num_steps)
    assert len(times) == num_steps + 1
    assert times[0] == 1
    assert times[-1] == 0
    assert (times.diff() < 0).all()


def test_uniform_steps_are_equal() -> None:
    torch.testing.assert_close(UniformGrid()(4), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))


def test_geometric_ratios_are_equal() -> None:
    times = GeometricGrid(0.01)(5)
    torch.testing.assert_close(times[1:-1] / times[:-2], torch.full((4,), 0.01**0.25))
    torch.testing.assert_close(times[-2], torch.tensor(0.01))


def test_roots_are_evenly_spaced() -> None:
    roots = PowerGrid(3.0, 0.001)(10)[:-1] ** (1 / 3)
    torch.testing.assert_close(roots, torch.linspace(1, 0.1, 10))


def test_powers_lie_between_equal_and_geometric_steps() -> None:
    torch.testing.assert_close(PowerGrid(1.0, 0.25)(4), UniformGrid()(4))
    torch.testing.assert_close(PowerGrid(1e4, 0.01)(6), GeometricGrid(0.01)(6), atol=1e-3, rtol=0)


@pytest.mark.parametrize("rho", [0.0, -1.0])
def test_impossible_power_is_refused(rho: float) -> None:
    with pytest.raises(ValueError, match="rho must be positive"):
        PowerGrid(rho)


@pytest.mark.parametrize("grid", GRIDS)
def test_no_steps_are_refused(grid: TimeGrid) -> None:
    with pytest.raises(ValueError, match="num_steps must be at least 1: got 0"):
        grid(0)


@pytest.mark.parametrize("last", [0.0, 1.0, -0.1])
def test_last_time_outside_is_refused(last: float) -> None:
    with pytest.raises(ValueError, match="last must lie between 0 and 1"):
        GeometricGrid(last)
    with pytest.raises(ValueError, match="last must lie between 0 and 1"):
        PowerGrid(last=last)
