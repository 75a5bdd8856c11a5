"""The noise law of one field: the abstraction that all processes share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from moldiff.data.statistics import Statistics
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.settings import Configured


@dataclass(frozen=True)
class StepOptions:
    """How a sampler's steps are taken.

    stochasticity: share of fresh noise in Gaussian steps: 0 = deterministic ODE / DDIM step, 1 = ancestral (DDPM).
    jump_rate: how often categorical tokens are redrawn from the prediction, relative to the rate of the path.
    temperature: divides the logits of the class probabilities before tokens are drawn.
    posterior: take categorical steps from the exact posterior (D3PM) in place of jumps.
    """

    stochasticity: float = 0.0
    jump_rate: float = 1.0
    temperature: float = 1.0
    posterior: bool = False

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not 0 <= self.stochasticity <= 1:
            raise ValueError(f"stochasticity must lie in [0, 1]: got {self.stochasticity}; 0 = ODE, 1 = ancestral")
        if self.jump_rate <= 0 or self.temperature <= 0:
            raise ValueError(
                f"jump_rate and temperature must be positive: got {self.jump_rate} and {self.temperature}; try 1"
            )


class Process(Configured, nn.Module, ABC):
    """How one field is noised, denoised and scored. L: number of entries (atoms or pairs); `mask`: which exist.

    A *clean estimate* is what the network's output says of the clean field: coordinates, or class probabilities.
    """

    baseline: float | None = None  # weighted loss of always predicting the marginals; None where there is no such thing

    def calibrate(self, field: str, statistics: Statistics) -> None:
        """Take what the process needs to know of the training data (once, before use)."""

    @abstractmethod
    def prior(self, mask: Bool[Tensor, "B L"], noise: Noise) -> Shaped[Tensor, "B L *K"]:
        """Draw the field at t = 1."""

    @abstractmethod
    def corrupt(
        self, clean: Shaped[Tensor, "B L *K"], t: Float[Tensor, " B"], mask: Bool[Tensor, "B L"], noise: Noise
    ) -> Shaped[Tensor, "B L *K"]:
        """Draw the noisy field at time t."""

    @abstractmethod
    def estimate(
        self,
        noisy: Shaped[Tensor, "B L *K"],
        output: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B L K"]:
        """The clean estimate that the network's output stands for."""

    @abstractmethod
    def step(
        self,
        noisy: Shaped[Tensor, "B L *K"],
        estimate: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
        noise: Noise,
        options: StepOptions,
    ) -> Shaped[Tensor, "B L *K"]:
        """Go from time t to s <= t; from t to t nothing changes."""

    @abstractmethod
    def decode(self, estimate: Float[Tensor, "B L K"]) -> Shaped[Tensor, "B L *K"]:
        """The clean field that a final estimate stands for: coordinates, or class indices."""

    @abstractmethod
    def encode(self, clean: Shaped[Tensor, "B L *K"]) -> Float[Tensor, "B L K"]:
        """The clean estimate that stands for a known field; undone by `decode`."""

    @abstractmethod
    def loss(
        self,
        output: Float[Tensor, "B L K"],
        clean: Shaped[Tensor, "B L *K"],
        noisy: Shaped[Tensor, "B L *K"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """Loss of each molecule, averaged over its entries, with its weight; in distillation `clean` is an `aim`."""

    def aim(
        self,
        noisy: Shaped[Tensor, "B L *K"],
        reached: Shaped[Tensor, "B L *K"],
        estimate: Float[Tensor, "B L K"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
    ) -> Float[Tensor, "B L K"]:
        """What the clean estimate at time t had to be for one deterministic step to do the work of several.

        Args:
            noisy: the field at time t.
            reached: the field at time s, to which several steps from `noisy` led.
            estimate: the clean estimate there: the answer for classes, whose estimates average to that of time t.
            t: times of each molecule, above s.
            s: times of each molecule, from 0 on.
        """
        return estimate


def expand(value: Float[Tensor, " B"], like: Tensor) -> Tensor:
    """A value per molecule, shaped to broadcast over the other axes of `like`."""
    return value.reshape(-1, *([1] * (like.dim() - 1)))


def masked_mean(value: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, " B"]:
    """Mean over the entries that exist (0 where none does)."""
    weight = mask.to(value.dtype)
    return (value * weight).sum(1) / weight.sum(1).clamp(min=1)
