"""Gaussian noise on scaled one-hot vectors of classes, as in EDM."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moldiff.data.statistics import Statistics
from moldiff.diffusion.gaussian import GaussianProcess, Parameterisation
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import Process, StepOptions
from moldiff.diffusion.schedule import NoiseSchedule, PolynomialSchedule


class OneHotGaussianProcess(Process):
    """Classes as one-hot vectors times `scale`, noised to a standard normal law (Hoogeboom 2022, section 3.2)."""

    def __init__(
        self,
        schedule: NoiseSchedule | None = None,
        parameterisation: Parameterisation = "eps",
        loss_target: Parameterisation = "eps",
        loss_floor: float = 0.0,
        weight: float = 1.0,
        scale: float = 0.25,
    ) -> None:
        """Arguments as in `GaussianProcess`, which does the work; `scale`: value of the true class.

        `schedule`: EDM's polynomial one if not given.
        """
        super().__init__()
        self.scale = scale
        self.gaussian = GaussianProcess(
            schedule or PolynomialSchedule(),
            parameterisation,
            loss_target,
            loss_floor,
            weight,
            scale=1.0,
            align_noise=False,
            centre=False,
        )
        self.num_classes = 0

    def calibrate(self, field: str, statistics: Statistics) -> None:
        """See `Process`: the number of classes."""
        self.num_classes = len(getattr(statistics, field))

    def encode(self, clean: Int[Tensor, "B L"]) -> Float[Tensor, "B L K"]:
        """See `Process`: scaled one-hot vectors."""
        return F.one_hot(clean, self.num_classes).to(torch.get_default_dtype()) * self.scale

    def prior(self, mask: Bool[Tensor, "B L"], noise: Noise) -> Float[Tensor, "B L K"]:
        """See `Process`."""
        return self.gaussian.draw(torch.empty(*mask.shape, self.num_classes, device=mask.device), mask, noise)

    def corrupt(
        self, clean: Int[Tensor, "B L"], t: Float[Tensor, " B"], mask: Bool[Tensor, "B L"], noise: Noise
    ) -> Float[Tensor, "B L K"]:
        """See `Process`."""
        return self.gaussian.corrupt(self.encode(clean) * mask[..., None], t, mask, noise)

    def estimate(
        self,
        noisy: Float[Tensor, "B L K"],
        output: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B L K"]:
        """See `Process`: scaled one-hot vectors, not probabilities."""
        return self.gaussian.estimate(noisy, output, t, mask)

    def step(
        self,
        noisy: Float[Tensor, "B L K"],
        estimate: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
        noise: Noise,
        options: StepOptions,
    ) -> Float[Tensor, "B L K"]:
        """See `Process`."""
        return self.gaussian.step(noisy, estimate, t, s, mask, noise, options)

    def decode(self, estimate: Float[Tensor, "B L K"]) -> Int[Tensor, "B L"]:
        """See `Process`: the largest component."""
        return estimate.argmax(-1)

    def loss(
        self,
        output: Float[Tensor, "B L K"],
        clean: Int[Tensor, "B L"],
        noisy: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `Process`."""
        return self.gaussian.loss(output, self.encode(clean), noisy, t, mask)
