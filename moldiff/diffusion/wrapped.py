"""The base of what is wrapped around a process: verbs that it does not change go through."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import StepOptions
from moldiff.diffusion.sampler import MoleculeProcess
from moldiff.models.denoiser import Prediction


class WrappedProcess:
    """A process that does as the one within; a subclass changes some of the verbs. See `MoleculeProcess`."""

    def __init__(self, process: MoleculeProcess) -> None:
        self.process = process

    def signal(self, t: Float[Tensor, " T"]) -> Float[Tensor, " T"]:
        """Signal over noise of the coordinates."""
        return self.process.signal(t)

    def prior(self, mask: Bool[Tensor, "B N"], noise: Noise) -> MolBatch:
        """Molecules at t = 1."""
        return self.process.prior(mask, noise)

    def corrupt(self, clean: MolBatch, t: Float[Tensor, " B"], noise: Noise) -> MolBatch:
        """Molecules at time t."""
        return self.process.corrupt(clean, t, noise)

    def estimate(self, noisy: MolBatch, output: Prediction, t: Float[Tensor, " B"]) -> Prediction:
        """The clean estimate."""
        return self.process.estimate(noisy, output, t)

    def step(
        self,
        noisy: MolBatch,
        estimate: Prediction,
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        noise: Noise,
        options: StepOptions,
    ) -> MolBatch:
        """Go from time t to s <= t."""
        return self.process.step(noisy, estimate, t, s, noise, options)

    def decode(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> MolBatch:
        """The molecules that a final estimate stands for."""
        return self.process.decode(estimate, mask)
