"""Gaussian noise on scaled one-hot vectors of classes, as in EDM."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moldiff.data.statistics import Statistics
from moldiff.diffusion.bounded import BoundedProcess, masked_sum
from moldiff.diffusion.gaussian import GaussianProcess, Parameterisation
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import StepOptions, expand
from moldiff.diffusion.schedule import NoiseSchedule, PolynomialSchedule


class OneHotGaussianProcess(BoundedProcess):
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

    def aim(
        self,
        noisy: Float[Tensor, "B L K"],
        reached: Float[Tensor, "B L K"],
        estimate: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
    ) -> Float[Tensor, "B L K"]:
        """See `Process`."""
        return self.gaussian.aim(noisy, reached, estimate, t, s)

    def decode(self, estimate: Float[Tensor, "B L K"]) -> Int[Tensor, "B L"]:
        """See `Process`: the largest component."""
        return estimate.argmax(-1)

    def loss(
        self,
        output: Float[Tensor, "B L K"],
        clean: Int[Tensor, "B L"] | Float[Tensor, "B L K"],
        noisy: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `Process`; `clean` may be a clean estimate, too."""
        truth = clean if clean.is_floating_point() else self.encode(clean)
        return self.gaussian.loss(output, truth, noisy, t, mask)

    def prior_kl(self, clean: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, " B"]:
        """See `BoundedProcess`."""
        return self.gaussian.prior_kl(self.encode(clean), mask)

    def step_kl(
        self,
        noisy: Float[Tensor, "B L K"],
        estimate: Float[Tensor, "B L K"],
        clean: Int[Tensor, "B L"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `BoundedProcess`."""
        return self.gaussian.step_kl(noisy, estimate, self.encode(clean), t, s, mask)

    def reconstruction(
        self,
        noisy: Float[Tensor, "B L K"],
        estimate: Float[Tensor, "B L K"],
        clean: Int[Tensor, "B L"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `BoundedProcess`: from the noisy field, not the estimate (Hoogeboom 2022, categorical features).

        The weight of a class is the integral of a normal law around its component from 1/2 to 3/2, in units of `scale`.
        """
        at = self.gaussian.schedule(t.double())
        alpha, sigma = expand(at.alpha * self.scale, noisy), expand(at.sigma, noisy)
        distance = noisy.double() / alpha - 1
        width = sigma / alpha
        weights = _log_mass((distance.abs() - 0.5) / width, (distance.abs() + 0.5) / width)
        chosen = weights.log_softmax(-1).gather(-1, clean[..., None])[..., 0]
        return -masked_sum(chosen, mask)


def _log_mass(low: Tensor, high: Tensor) -> Tensor:
    """Logarithm of a standard normal law's integral from low to high, for low + high >= 0; exact far from 0, too."""
    near: Tensor = torch.special.log_ndtr(-low)
    far: Tensor = torch.special.log_ndtr(-high)
    return near + torch.log1p(-torch.exp(far - near))
