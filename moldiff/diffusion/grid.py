"""Where a sampler's steps lie in time."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from moldiff.diffusion.settings import Configured


class TimeGrid(Configured, ABC):
    """A rule that places any number of steps between t = 1 and t = 0."""

    @abstractmethod
    def __call__(self, num_steps: int) -> Float[Tensor, " {num_steps}+1"]:
        """Falling times, from 1 at the start to 0 after `num_steps` steps."""


class UniformGrid(TimeGrid):
    """Steps of equal length."""

    def __call__(self, num_steps: int) -> Float[Tensor, " {num_steps}+1"]:
        """See `TimeGrid`."""
        return torch.linspace(1, 0, _positive(num_steps) + 1)


class GeometricGrid(TimeGrid):
    """Times in a geometric row from 1 to `last`, then 0: dense near the data, where coordinates are decided."""

    def __init__(self, last: float = 0.01) -> None:
        """`last`: the time before the final step."""
        if not 0 < last < 1:
            raise ValueError(f"last must lie between 0 and 1: got {last}; 0.01 is the default")
        self.last = last

    def __call__(self, num_steps: int) -> Float[Tensor, " {num_steps}+1"]:
        """See `TimeGrid`."""
        exponent = torch.linspace(0, 1, _positive(num_steps))
        return torch.cat([self.last**exponent, torch.zeros(1)])


class PowerGrid(TimeGrid):
    """Times whose `rho`-th roots are evenly spaced from 1 to `last`, then 0 (Karras 2022, eq. 5).

    rho = 1 gives equal steps; the larger it is, the denser they lie near the data; in the limit they are geometric.
    """

    def __init__(self, rho: float = 2.0, last: float = 0.02) -> None:
        """`last`: the time before the final step."""
        if rho <= 0:
            raise ValueError(f"rho must be positive: got {rho}; 2 is the default")
        if not 0 < last < 1:
            raise ValueError(f"last must lie between 0 and 1: got {last}; 0.02 is the default")
        self.rho, self.last = rho, last

    def __call__(self, num_steps: int) -> Float[Tensor, " {num_steps}+1"]:
        """See `TimeGrid`."""
        root = self.last ** (1 / self.rho)
        times = (1 + torch.linspace(0, 1, _positive(num_steps)) * (root - 1)) ** self.rho
        return torch.cat([times, torch.zeros(1)])


def _positive(num_steps: int) -> int:
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1: got {num_steps}; 50 is the default")
    return num_steps
