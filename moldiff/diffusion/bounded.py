"""Processes that know their share of the variational bound of a likelihood."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import Process


class BoundedProcess(Process):
    """A process that can say how likely a clean field is, at least.

    The model draws x_1 from the prior, each earlier x_s from p(x_s | x_t), and x_0 from p(x_0 | x_t) at its last time.
    p(x_s | x_t) is what `step` draws with `StepOptions(stochasticity=1, posterior=True)`: the noise law's q(x_s | x_t,
    x_0), averaged over the clean estimate. Then (Sohl-Dickstein 2015; Kingma 2021, VDM, section 3.5)

        -log p(x_0) <= E_q [KL(q(x_1 | x_0) | p(x_1)) + sum KL(q(x_s | x_t, x_0) | p(x_s | x_t)) - log p(x_0 | x_t)].

    The methods give these three shares of each molecule, summed over its entries, in nats and float64. Times should be
    float64, too: differences between near times are small.
    """

    def diffuse(
        self, clean: Shaped[Tensor, "B L *J"], t: Float[Tensor, " B"], mask: Bool[Tensor, "B L"], noise: Noise
    ) -> Shaped[Tensor, "B L *K"]:
        """Draw the noisy field from q(x_t | x_0): noise that does not depend on the data, whatever `corrupt` does."""
        return self.corrupt(clean, t, mask, noise)

    @abstractmethod
    def prior_kl(self, clean: Shaped[Tensor, "B L *J"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, " B"]:
        """KL(q(x_1 | x_0) | p(x_1)): what is left of the data at t = 1."""

    @abstractmethod
    def step_kl(
        self,
        noisy: Shaped[Tensor, "B L *K"],
        estimate: Float[Tensor, "B L K"],
        clean: Shaped[Tensor, "B L *J"],
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """KL(q(x_s | x_t, x_0) | p(x_s | x_t)) of the step from t to s <= t, for the estimate at x_t."""

    @abstractmethod
    def reconstruction(
        self,
        noisy: Shaped[Tensor, "B L *K"],
        estimate: Float[Tensor, "B L K"],
        clean: Shaped[Tensor, "B L *J"],
        t: Float[Tensor, " B"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, " B"]:
        """-log p(x_0 | x_t) at the last time; a density for coordinates (per Å in each dimension)."""


def masked_sum(value: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, " B"]:
    """Sum over the entries that exist, in float64, whatever the others hold."""
    return value.double().where(mask, 0.0).sum(1)
