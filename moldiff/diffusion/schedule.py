"""Noise schedules: x_t = alpha(t) x_0 + sigma(t) eps, from t = 0 (data) to t = 1 (noise)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from moldiff.diffusion.settings import Configured


@dataclass(frozen=True)
class ScheduleValues:
    """The schedule and its time derivatives at some times."""

    alpha: Float[Tensor, "*B"]
    sigma: Float[Tensor, "*B"]
    log_snr: Float[Tensor, "*B"]  # log(alpha^2 / sigma^2)
    d_alpha: Float[Tensor, "*B"]
    d_sigma: Float[Tensor, "*B"]


class NoiseSchedule(Configured, ABC):
    """A pair of curves alpha, sigma with a strictly falling signal-to-noise ratio."""

    @abstractmethod
    def __call__(self, t: Float[Tensor, "*B"]) -> ScheduleValues:
        """Values at times in [0, 1]; `log_snr` may be infinite at the ends."""

    @abstractmethod
    def inverse(self, log_snr: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """The time at which the log signal-to-noise ratio has this value."""


class LinearSchedule(NoiseSchedule):
    """alpha = 1 - t, sigma = t: the straight path of flow matching (Lipman 2023; Liu 2023)."""

    def __call__(self, t: Float[Tensor, "*B"]) -> ScheduleValues:
        """See `NoiseSchedule`."""
        alpha, sigma = 1 - t, t
        one = torch.ones_like(t)
        return ScheduleValues(alpha, sigma, 2 * (torch.log(alpha) - torch.log(sigma)), -one, one)

    def inverse(self, log_snr: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """See `NoiseSchedule`."""
        return torch.sigmoid(-log_snr / 2)


class CosineSchedule(NoiseSchedule):
    """alpha = cos(pi t / 2), sigma = sin(pi t / 2): variance preserving (Nichol & Dhariwal 2021, without offset)."""

    def __call__(self, t: Float[Tensor, "*B"]) -> ScheduleValues:
        """See `NoiseSchedule`."""
        angle = t * (math.pi / 2)
        alpha, sigma = torch.cos(angle), torch.sin(angle)
        log_snr = 2 * (torch.log(alpha) - torch.log(sigma))
        return ScheduleValues(alpha, sigma, log_snr, -sigma * (math.pi / 2), alpha * (math.pi / 2))

    def inverse(self, log_snr: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """See `NoiseSchedule`."""
        return torch.atan(torch.exp(-log_snr / 2)) * (2 / math.pi)


class PolynomialSchedule(NoiseSchedule):
    """alpha^2 = (1 - 2 s)(1 - t^p)^2 + s, variance preserving: the schedule of EDM (Hoogeboom 2022, eq. 16, p = 2)."""

    def __init__(self, power: float = 2.0, precision: float = 1e-5) -> None:
        """`precision` is the s of the formula: alpha^2 runs from 1 - s to s."""
        if power <= 0 or not 0 < precision < 0.5:
            raise ValueError(
                f"need power > 0 and 0 < precision < 0.5: got {power} and {precision}; change the schedule"
            )
        self.power, self.precision = power, precision

    def __call__(self, t: Float[Tensor, "*B"]) -> ScheduleValues:
        """See `NoiseSchedule`."""
        base = 1 - t**self.power
        alpha2 = (1 - 2 * self.precision) * base.square() + self.precision
        sigma2 = (1 - 2 * self.precision) * (1 - base.square()) + self.precision
        alpha, sigma = alpha2.sqrt(), sigma2.sqrt()
        d_alpha2 = -2 * (1 - 2 * self.precision) * base * self.power * t ** (self.power - 1)
        return ScheduleValues(
            alpha, sigma, torch.log(alpha2) - torch.log(sigma2), d_alpha2 / (2 * alpha), -d_alpha2 / (2 * sigma)
        )

    def inverse(self, log_snr: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """See `NoiseSchedule`."""
        square = (torch.sigmoid(log_snr) - self.precision) / (1 - 2 * self.precision)
        return (1 - square.clamp(0, 1).sqrt()) ** (1 / self.power)
