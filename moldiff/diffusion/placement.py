"""Molecules that need not be centred: in a pocket, guided or fixed atoms may move them."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import StepOptions
from moldiff.diffusion.wrapped import WrappedProcess
from moldiff.models.denoiser import Prediction
from moldiff.nn.geometry import centred, mean_position


class PlacedProcess(WrappedProcess):
    """A joint process in the frame of a pocket: the mean of noisy molecules is that of their clean estimate.

    Networks see the pocket about the mean of the noisy molecule and answer with centred coordinates, as they are
    trained; here the estimate stands where the noisy molecule does.
    """

    def corrupt(self, clean: MolBatch, t: Float[Tensor, " B"], noise: Noise) -> MolBatch:
        """Molecules at time t, with the mean of the clean ones."""
        mean = mean_position(clean.pos, clean.mask)
        noisy = self.process.corrupt(clean.replace(pos=centred(clean.pos, clean.mask)), t, noise)
        return noisy.replace(pos=noisy.pos + mean)

    def estimate(self, noisy: MolBatch, output: Prediction, t: Float[Tensor, " B"]) -> Prediction:
        """The clean estimate, with the mean of the noisy molecule."""
        mean = mean_position(noisy.pos, noisy.mask)
        estimate = self.process.estimate(noisy.replace(pos=noisy.pos - mean), output, t)
        return replace(estimate, pos=estimate.pos + mean)

    def step(
        self,
        noisy: MolBatch,
        estimate: Prediction,
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        noise: Noise,
        options: StepOptions,
    ) -> MolBatch:
        """Go from time t to s <= t, with the mean of the estimate."""
        mean = mean_position(estimate.pos, noisy.mask)
        start = noisy.replace(pos=centred(noisy.pos, noisy.mask))
        end = self.process.step(start, replace(estimate, pos=estimate.pos - mean), t, s, noise, options)
        return end.replace(pos=end.pos + mean)
