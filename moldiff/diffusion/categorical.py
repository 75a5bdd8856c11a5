"""Discrete noise for classes: each token is true with the path's probability, else drawn from a prior."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moldiff.data.statistics import Statistics
from moldiff.diffusion.bounded import BoundedProcess, masked_sum
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import StepOptions, expand, masked_mean
from moldiff.diffusion.schedule import LinearSchedule, NoiseSchedule


class CategoricalProcess(BoundedProcess):
    """q(x_t | x_0) = alpha delta(x_0) + (1 - alpha) prior (Austin 2021, D3PM; Campbell 2024, discrete flow matching).

    The prior is the marginal law of the training data (Vignac 2023), uniform, or one absorbing token, whose index is
    the number of classes. The network's output are logits of x_0; the loss is their cross-entropy.
    """

    def __init__(
        self,
        prior: Literal["marginal", "uniform", "absorbing"] = "marginal",
        schedule: NoiseSchedule | None = None,
        weight: float = 1.0,
    ) -> None:
        """`schedule`: linear if not given; only its alpha is used."""
        super().__init__()
        if prior not in ("marginal", "uniform", "absorbing"):
            raise ValueError(f"prior must be marginal, uniform or absorbing: got {prior!r}; choose one of them")
        self.kind, self.schedule, self.weight = prior, schedule or LinearSchedule(), weight
        self.register_buffer(
            "law", torch.empty(0), persistent=False
        )  # prior over the K classes and the absorbing token

    def calibrate(self, field: str, statistics: Statistics) -> None:
        """See `Process`: the number of classes and their marginal law."""
        marginal = torch.tensor(getattr(statistics, field), dtype=torch.float32)
        law = {"marginal": marginal, "uniform": torch.full_like(marginal, 1 / len(marginal))}.get(
            self.kind, 0 * marginal
        )
        self.law = torch.cat([law, 1 - law.sum().round()[None]])
        self.baseline = self.weight * float(torch.special.entr(marginal).sum())

    @property
    def num_classes(self) -> int:
        """K, without the absorbing token."""
        return len(self.law) - 1

    def prior(self, mask: Bool[Tensor, "B L"], noise: Noise) -> Int[Tensor, "B L"]:
        """See `Process`."""
        like = torch.empty(mask.shape, device=mask.device)
        return draw(self.law.expand(*mask.shape, -1), noise.uniform(like)) * mask

    def corrupt(
        self, clean: Int[Tensor, "B L"], t: Float[Tensor, " B"], mask: Bool[Tensor, "B L"], noise: Noise
    ) -> Int[Tensor, "B L"]:
        """See `Process`."""
        alpha = expand(self.schedule(t).alpha, clean)
        kept = noise.uniform(torch.empty(mask.shape, device=mask.device)) < alpha
        return torch.where(kept, clean, self.prior(mask, noise))

    def estimate(
        self,
        noisy: Int[Tensor, "B L"],
        output: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B L K"]:
        """See `Process`: class probabilities."""
        return output.softmax(-1)

    def step(
        self,
        noisy: Int[Tensor, "B L"],
        estimate: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
        noise: Noise,
        options: StepOptions,
    ) -> Int[Tensor, "B L"]:
        """See `Process`. Jumps at the path's rate to tokens of the estimate, or draws from the exact posterior."""
        alpha_t, alpha_s = self.schedule(t).alpha, self.schedule(s).alpha
        probabilities = estimate if options.temperature == 1 else sharpen(estimate, options.temperature)
        choice = noise.uniform(torch.empty(mask.shape, device=mask.device))
        if options.posterior:
            drawn = draw(self._posterior(noisy, probabilities, alpha_t, alpha_s), choice)
            return torch.where(expand((s < t).float(), choice).bool() & mask, drawn, noisy)
        stay = ((1 - alpha_s) / (1 - alpha_t).clamp(min=1e-12)).clamp(0, 1) ** options.jump_rate
        stay = torch.where(s >= t, 1.0, stay)
        jumps = noise.uniform(choice) >= expand(stay, choice)
        return torch.where(jumps & mask, draw(probabilities, choice), noisy)

    def _posterior(self, noisy: Tensor, probabilities: Tensor, alpha_t: Tensor, alpha_s: Tensor) -> Tensor:
        """q(x_s | x_t) = sum_x0 q(x_s | x_t, x_0) p(x_0 | x_t), Austin 2021 eq. 3, unnormalised, over K + 1 tokens."""
        now = F.one_hot(noisy, self.num_classes + 1).to(probabilities.dtype)
        p = F.pad(probabilities.clamp(min=1e-12), (0, 1))
        a_t, a_s = expand(alpha_t, p), expand(alpha_s, p)
        law_now = self.law[noisy][..., None]
        p = p / (a_t * now + (1 - a_t) * law_now).clamp(min=1e-12)
        before = a_s * p + (1 - a_s) * self.law * p.sum(-1, keepdim=True)
        ratio = (a_t / a_s.clamp(min=1e-12)).clamp(max=1)
        return before * (ratio * now + (1 - ratio) * law_now)

    def decode(self, estimate: Float[Tensor, "B L K"]) -> Int[Tensor, "B L"]:
        """See `Process`: the likeliest class."""
        return estimate.argmax(-1)

    def encode(self, clean: Int[Tensor, "B L"]) -> Float[Tensor, "B L K"]:
        """See `Process`: one-hot."""
        return F.one_hot(clean, self.num_classes).to(torch.get_default_dtype())

    def loss(
        self,
        output: Float[Tensor, "B L K"],
        clean: Int[Tensor, "B L"] | Float[Tensor, "B L K"],
        noisy: Int[Tensor, "B L"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `Process`; `clean` may be class probabilities, too."""
        target = clean.transpose(1, 2) if clean.is_floating_point() else clean
        return self.weight * masked_mean(F.cross_entropy(output.transpose(1, 2), target, reduction="none"), mask)

    def prior_kl(self, clean: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, " B"]:
        """See `BoundedProcess`."""
        alpha = self.schedule(torch.ones((), dtype=torch.float64, device=clean.device)).alpha
        law = self.law.double() / self.law.double().sum()
        last = alpha * F.one_hot(clean, self.num_classes + 1) + (1 - alpha) * law
        return masked_sum(_kl(last, law), mask)

    def step_kl(
        self,
        noisy: Int[Tensor, "B L"],
        estimate: Float[Tensor, "B L K"],
        clean: Int[Tensor, "B L"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `BoundedProcess`: Austin 2021, eq. 1 and 4; of many short steps, the bound of Campbell 2022 (prop. 2)."""
        alphas = self.schedule(t.double()).alpha, self.schedule(s.double()).alpha
        truth = F.one_hot(clean, self.num_classes).double()
        true, own = (_normalised(self._posterior(noisy, p, *alphas)) for p in (truth, estimate.double()))
        return masked_sum(_kl(true, own), mask)

    def reconstruction(
        self,
        noisy: Int[Tensor, "B L"],
        estimate: Float[Tensor, "B L K"],
        clean: Int[Tensor, "B L"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """See `BoundedProcess`: the step from t to the data."""
        alpha = self.schedule(t.double()).alpha
        own = _normalised(self._posterior(noisy, estimate.double(), alpha, torch.ones_like(alpha)))
        return -masked_sum(own.gather(-1, clean[..., None])[..., 0].log(), mask)


def draw(weights: Float[Tensor, "*S K"], uniform: Float[Tensor, "*S"]) -> Int[Tensor, "*S"]:
    """Draw classes in proportion to the weights by inverting their cumulative sum."""
    cumulative = weights.cumsum(-1)
    return (uniform[..., None] * cumulative[..., -1:] >= cumulative).sum(-1).clamp(max=weights.shape[-1] - 1)


def sharpen(probabilities: Float[Tensor, "*S K"], temperature: float) -> Float[Tensor, "*S K"]:
    """Probabilities whose logits are divided by a temperature."""
    return (probabilities.clamp(min=1e-12).log() / temperature).softmax(-1)


def _normalised(weights: Tensor) -> Tensor:
    return weights / weights.sum(-1, keepdim=True)


def _kl(first: Tensor, second: Tensor) -> Tensor:
    """Relative entropy of class probabilities, in nats; infinite where the second excludes what the first does not."""
    terms: Tensor = torch.special.xlogy(first, first) - torch.special.xlogy(first, second)
    return terms.sum(-1)
