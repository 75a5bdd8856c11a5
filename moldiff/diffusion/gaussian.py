"""Gaussian noise for coordinates, in the subspace of zero centre of mass."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from moldiff.data.statistics import Statistics
from moldiff.diffusion.alignment import align
from moldiff.diffusion.bounded import BoundedProcess, masked_sum
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import StepOptions, expand, masked_mean
from moldiff.diffusion.schedule import LinearSchedule, NoiseSchedule, ScheduleValues
from moldiff.nn.geometry import centred

Parameterisation = Literal["x0", "eps", "v"]
_LAST = 1 - 1e-4  # the last time that a network sees in training


class GaussianProcess(BoundedProcess):
    """x_t = alpha x_0 + sigma eps with centred normal eps of standard deviation `scale` (Hoogeboom 2022, section 3.1).

    The output of the network is the clean coordinates (x0), the noise (eps) or the velocity d_alpha x_0 + d_sigma eps
    (v), all in Å. The loss is the squared error of the quantity named by `loss_target`, in units of `scale`; each is
    a weighting of the same error of x0: 1, (alpha/sigma)^2 and, on the linear path, 1/sigma^2. `loss_floor` tames the
    weights that grow without bound near the data: a weight w^-2 becomes (w + floor)^-2.
    """

    def __init__(
        self,
        schedule: NoiseSchedule | None = None,
        parameterisation: Parameterisation = "x0",
        loss_target: Parameterisation = "v",
        loss_floor: float = 0.02,
        weight: float = 1.0,
        scale: float = 1.72,
        align_noise: bool | Literal["permutation"] = True,
        centre: bool = True,
    ) -> None:
        """`scale`: standard deviation of the prior per coordinate, Å. `schedule`: linear if not given.

        `align_noise`: see `align`; "permutation": without turning, for molecules in pockets. `centre`: keep the noise
        of a molecule at zero mean (coordinates; not for other features).
        """
        super().__init__()
        if scale <= 0 or loss_floor < 0 or weight < 0:
            raise ValueError(
                f"need scale > 0, loss_floor >= 0, weight >= 0: got {scale}, {loss_floor}, {weight}; change the process"
            )
        self.schedule = schedule or LinearSchedule()
        self.parameterisation, self.loss_target = parameterisation, loss_target
        self.loss_floor, self.weight, self.scale = loss_floor, weight, scale
        self.align_noise, self.centre, self.num_channels = align_noise, centre, 3

    def calibrate(self, field: str, statistics: Statistics) -> None:
        """See `Process`: in place of classes there are as many real features, as of a latent."""
        self.num_channels = 3 if field == "pos" else len(getattr(statistics, field))

    def prior(self, mask: Bool[Tensor, "B L"], noise: Noise) -> Float[Tensor, "B L K"]:
        """See `Process`."""
        return self.draw(torch.empty(*mask.shape, self.num_channels, device=mask.device), mask, noise)

    def draw(self, like: Float[Tensor, "B L K"], mask: Bool[Tensor, "B L"], noise: Noise) -> Float[Tensor, "B L K"]:
        """Noise of the prior's law, zero where padded."""
        eps = noise.normal(like) * self.scale
        return centred(eps, mask) if self.centre else eps * mask[..., None]

    def corrupt(
        self, clean: Float[Tensor, "B L K"], t: Float[Tensor, " B"], mask: Bool[Tensor, "B L"], noise: Noise
    ) -> Float[Tensor, "B L K"]:
        """See `Process`. `clean` must be centred."""
        eps = self.draw(clean, mask, noise)
        if self.align_noise:
            eps = align(eps, clean, mask, turn=self.align_noise != "permutation")
        return self._mix(clean, eps, t)

    def diffuse(
        self, clean: Float[Tensor, "B L K"], t: Float[Tensor, " B"], mask: Bool[Tensor, "B L"], noise: Noise
    ) -> Float[Tensor, "B L K"]:
        """See `BoundedProcess`: the noise is not aligned. `clean` must be centred."""
        return self._mix(clean, self.draw(clean, mask, noise), t)

    def _mix(self, clean: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        at = self.schedule(t)
        return (expand(at.alpha, clean) * clean + expand(at.sigma, clean) * eps).to(clean.dtype)

    def estimate(
        self,
        noisy: Float[Tensor, "B L K"],
        output: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B L K"]:
        """See `Process`. Where the output says nothing of the data (eps at alpha = 0), divisors stay above 0.001."""
        if self.parameterisation == "x0":
            return output
        at = self.schedule(t)
        if self.parameterisation == "eps":
            return (noisy - expand(at.sigma, noisy) * output) / expand(at.alpha.clamp(min=1e-3), noisy)
        still = at.d_sigma * at.alpha - at.sigma * at.d_alpha < 1e-3  # v = 0 for any data: the end of EDM's schedule
        at = self.schedule(torch.where(still, t.clamp(max=_LAST), t))
        wronskian = (at.d_sigma * at.alpha - at.sigma * at.d_alpha).clamp(min=1e-3)
        return expand(at.d_sigma / wronskian, noisy) * noisy - expand(at.sigma / wronskian, noisy) * output

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
        """See `Process`. DDIM's family (Song 2021, eq. 12): keeps the law of x_s if the estimate is true."""
        now, then = self.schedule(t), self.schedule(s)
        ratio = then.sigma / now.sigma.clamp(min=1e-12)
        fresh = (
            options.stochasticity
            * ratio
            * (now.sigma**2 - (now.alpha / then.alpha * then.sigma) ** 2).clamp(min=0).sqrt()
        )
        kept = (then.sigma**2 - fresh**2).clamp(min=0).sqrt() / now.sigma.clamp(min=1e-12)
        kept, fresh = torch.where(s >= t, 1.0, kept), torch.where(s >= t, 0.0, fresh)
        out = expand(kept, noisy) * noisy + expand(then.alpha - kept * now.alpha, noisy) * estimate
        if options.stochasticity > 0:
            out = out + expand(fresh, noisy) * self.draw(noisy, mask, noise)
        return out

    def aim(
        self,
        noisy: Float[Tensor, "B L K"],
        reached: Float[Tensor, "B L K"],
        estimate: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
    ) -> Float[Tensor, "B L K"]:
        """See `Process`: the step without fresh noise, solved for the estimate (Salimans & Ho 2022, appendix G)."""
        now, then = self.schedule(t), self.schedule(s)
        kept = then.sigma / now.sigma.clamp(min=1e-12)
        return (reached - expand(kept, noisy) * noisy) / expand(then.alpha - kept * now.alpha, noisy)

    def decode(self, estimate: Float[Tensor, "B L K"]) -> Float[Tensor, "B L K"]:
        """See `Process`."""
        return estimate

    def encode(self, clean: Float[Tensor, "B L K"]) -> Float[Tensor, "B L K"]:
        """See `Process`."""
        return clean

    def loss(
        self,
        output: Float[Tensor, "B L K"],
        clean: Float[Tensor, "B L K"],
        noisy: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `Process`."""
        at = self.schedule(t)
        eps = (noisy - expand(at.alpha, noisy) * clean) / expand(at.sigma, noisy)
        target = {"x0": clean, "eps": eps, "v": expand(at.d_alpha, clean) * clean + expand(at.d_sigma, clean) * eps}
        error = masked_mean((output - target[self.parameterisation]).square().mean(-1), mask) / self.scale**2
        # sensitivity of each quantity to x0, at fixed x_t
        weight = (1 / self._sensitivity(at, self.loss_target) + self.loss_floor) ** -2
        return self.weight * weight * error / self._sensitivity(at, self.parameterisation) ** 2

    def prior_kl(self, clean: Float[Tensor, "B L K"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, " B"]:
        """See `BoundedProcess`."""
        at = self.schedule(torch.ones(len(clean), dtype=torch.float64, device=clean.device))
        spread = (at.sigma**2 - 1) / 2 - at.sigma.log()
        return self._dimension(clean, mask) * spread + at.alpha**2 * self._distance(clean, 0 * clean, mask) / 2

    def step_kl(
        self,
        noisy: Float[Tensor, "B L K"],
        estimate: Float[Tensor, "B L K"],
        clean: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `BoundedProcess`: (SNR(s) - SNR(t)) |x_0 - estimate|^2 / 2 (Kingma 2021, section 4; Hoogeboom 2022)."""
        now, then = self.schedule(t.double()), self.schedule(s.double())
        gain = (then.alpha / then.sigma) ** 2 - (now.alpha / now.sigma) ** 2
        return gain * self._distance(clean, estimate, mask) / 2

    def reconstruction(
        self,
        noisy: Float[Tensor, "B L K"],
        estimate: Float[Tensor, "B L K"],
        clean: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `BoundedProcess`: a normal law around the estimate, of standard deviation scale sigma / alpha.

        With its constants, in the subspace of zero centre of mass (Hoogeboom 2022, zeroth likelihood term).
        """
        at = self.schedule(t.double())
        width = at.sigma / at.alpha
        constant = (self.scale * width).log() + math.log(2 * math.pi) / 2
        return self._dimension(clean, mask) * constant + self._distance(clean, estimate, mask) / width**2 / 2

    def _dimension(self, clean: Tensor, mask: Tensor) -> Tensor:
        """Of the space that the noise of each molecule lies in: (N - 1) K if it is centred."""
        count = mask.sum(1)
        return clean.shape[-1] * ((count - 1).clamp(min=0) if self.centre else count).double()

    def _distance(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        """Sum of the squared distances of each molecule, in units of the scale."""
        return masked_sum((x.double() - y.double()).square().sum(-1), mask) / self.scale**2

    @staticmethod
    def _sensitivity(at: ScheduleValues, quantity: Parameterisation) -> Float[Tensor, " B"]:
        if quantity == "x0":
            return torch.ones_like(at.alpha)
        return at.alpha / at.sigma if quantity == "eps" else (at.d_alpha - at.d_sigma * at.alpha / at.sigma).abs()
