"""Distillation: the molecules of a teacher, from the same noise, in few steps."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from moldiff.diffusion.frame import centre
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import StepOptions
from moldiff.models.denoiser import Context, Prediction
from moldiff.training.module import DiffusionModule
from moldiff.training.teacher_data import PairBatch


class Distillation(DiffusionModule):
    """Trains a student to make, in `num_steps` steps, the molecules that a teacher made from the same noise.

    Noise and molecule being coupled, the paths between them are straight, and can be followed in few steps (Liu 2023,
    rectified flow, "reflow"). The student is trained at the times of its sampler's grid only, and on states that its
    own sampler reaches: from a point of the path it takes one step, and sees the estimate of that step, as in
    sampling. Settings as for `DiffusionModule`; data: `TeacherDataModule`.
    """

    def pair_losses(self, batch: PairBatch, noise: Noise) -> tuple[dict[str, Float[Tensor, " B"]], Int[Tensor, " B"]]:
        """Weighted loss of each field and molecule at random steps of the sampler, and the numbers of the steps."""
        clean = centre(batch.molecules)
        grid = self.sampler.grid(self.num_steps)[:-1].to(self.device)
        place = noise.uniform(torch.empty(len(batch), device=self.device)).argsort()
        number = place * self.num_steps // len(batch)  # as many molecules at each step, whatever their sizes
        t, before = grid[number], grid[(number - 1).clamp(min=0)]
        context = self.denoiser.prepare(Context())
        with torch.no_grad():
            start = self.process.prior(clean.mask, noise).replace(pos=batch.noise)
            path = self.process.step(start, self.process.encode(clean), 0 * t + 1, before, noise, StepOptions())
            estimate = self.process.estimate(path, self.denoiser(path, before, context), before)
            noisy = self.process.step(path, estimate, before, t, noise, self.sampler.options)
        if self.denoiser.self_conditioning:
            context = Context(previous=_where(number > 0, estimate), properties=context.properties)
        return self.process.loss(self.denoiser(noisy, t, context), clean, noisy, t), number

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:  # type: ignore[override]
        """One step on one batch."""
        losses, _ = self.pair_losses(batch, self.noise_of_step(batch_idx))
        return self.log_training(losses, len(batch))

    def _log_losses(self, split: str, batch: PairBatch, batch_idx: int) -> None:  # type: ignore[override]
        losses, number = self.pair_losses(batch, self._fixed_noise(batch_idx))
        self._log_mean(f"{split}/loss", torch.stack(list(losses.values())).sum(0), prog_bar=True)
        for name, value in losses.items():
            self._log_mean(f"{split}/{name}", value)
            for k in range(self.num_steps):
                if (number == k).any() or self.trainer.world_size > 1:
                    self._log_mean(f"{split}/{name}/step{k}", value[number == k])


def _where(keep: Tensor, estimate: Prediction) -> Prediction:
    """The estimates of some molecules; zeros, which stand for none, of the others."""
    fields = {name: value for name, value in vars(estimate).items() if value is not None}
    return Prediction(**{name: value * keep.reshape(-1, *[1] * (value.dim() - 1)) for name, value in fields.items()})
