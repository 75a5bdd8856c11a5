"""How likely a model finds given molecules: the variational bound, in nats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import ComplexBatch
from moldiff.diffusion.frame import own_frame
from moldiff.diffusion.model import Model
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.schedule import NoiseSchedule
from moldiff.diffusion.settings import Configured
from moldiff.diffusion.size_prior import SizePrior
from moldiff.models.denoiser import Context, Prediction


@dataclass(frozen=True)
class Bound:
    """At most so many nats is -log p of each molecule; fields in the order of `FIELDS`, and `num_atoms`."""

    shares: Mapping[str, Float[Tensor, " B"]]  # float64

    @property
    def total(self) -> Float[Tensor, " B"]:
        """The bound: only the sum of the shares bounds anything."""
        return torch.stack(list(self.shares.values())).sum(0)


class VariationalBound(Configured):
    """Estimates a bound of -log p(molecule) without bias (Kingma 2021, VDM; Hoogeboom 2022, EDM; Austin 2021, D3PM).

    p(molecule) = p(N) p(fields | N): the frequency of the size N among the training molecules, times what the model
    draws in `num_steps` ancestral steps, with D3PM's posterior for classes, at temperature 1 (`BoundedProcess` has the
    terms), from t = 1 to the time at which the coordinates have noise of `resolution`, where they are reconstructed.
    So it is the bound of another sampler than the deterministic ones that draw molecules by default.

    - *Units.* For coordinates p is a density, per Å in each of the (N - 1) 3 dimensions of a fixed centre of mass, of
      atoms in a given order and orientation; for classes it is a probability. So the bound may well be below 0, the
      more so the finer the resolution: compare values of the same fields at the same resolution.
    - *Alignment.* The noise is never aligned to the data here: aligned noise depends on them, its law at t = 1 is not
      the prior, and the terms would bound nothing. A model that was trained on aligned pairs (`align_noise`) is so
      asked for what it was not trained for, most of all near t = 1; the bound holds for it, but is loose.
    - *Self-conditioning.* A network that can see its own estimate is asked twice at x_t: without one, then with the
      first answer. So the second answer is a function of x_t and t alone, as p(x_s | x_t) must be. (Samplers hand over
      the estimate of the step before; that model has no such bound.)
    - *Estimate.* The sum over the steps is estimated from `num_times` of them, one in each of as many equal parts.
    """

    def __init__(
        self, num_times: int = 8, num_steps: int = 1000, resolution: float = 0.00316, power: float = 5.0
    ) -> None:
        """How the bound is taken; EDM's is (1, 1000, 0.00316, 1).

        Args:
            num_times: evaluations of the network for each molecule, besides the one of the reconstruction.
            num_steps: of the model whose likelihood is bounded.
            resolution: standard deviation of the coordinates' noise at the last time, in Å; or the least that the
                schedule has, if that is more.
            power: the steps are equal in t^(1/power), so denser near the data if it is above 1.
        """
        if num_times < 1 or num_steps < 1 or resolution <= 0 or power <= 0:
            raise ValueError(
                f"num_times, num_steps, resolution and power must be positive: got {num_times}, {num_steps}, "
                f"{resolution} and {power}; the defaults are 8, 1000, 0.00316 and 5"
            )
        self.num_times, self.num_steps, self.resolution, self.power = num_times, num_steps, resolution, power

    @torch.no_grad()
    def __call__(self, model: Model, batch: MolBatch | ComplexBatch, noise: Noise) -> Bound:
        """Of molecules on the model's device, given their pockets, if there are any.

        Raises:
            ValueError: if a process has no bound, or the molecules lack one of the model's fields.
        """
        clean, pocket = own_frame(batch)
        processes, values = model.process.bounded(), model.process.fields(clean)
        context = model.denoiser.prepare(Context(pocket=pocket))
        masks = {name: clean.mask_of(name) for name in processes}

        def draw(t: Tensor) -> tuple[MolBatch, dict[str, Tensor]]:
            fields = {name: p.diffuse(values[name], t, masks[name], noise) for name, p in processes.items()}
            noisy = MolBatch(clean.pos, None, None, None, clean.mask).replace(**fields)
            return noisy, _estimate(model, noisy, t, context).present()

        sums = {name: p.prior_kl(values[name], masks[name]) for name, p in processes.items()}
        times = self.times(model).to(clean.pos.device)
        for part in range(self.num_times):
            u = noise.uniform(clean.pos[:, 0, 0].double())
            step = ((part + u) / self.num_times * self.num_steps).long().clamp(max=self.num_steps - 1)
            t, s = times[step], times[step + 1]
            noisy, estimate = draw(t)
            for name, p in processes.items():
                kl = p.step_kl(getattr(noisy, name), estimate[name], values[name], t, s, masks[name])
                sums[name] = sums[name] + kl * (self.num_steps / self.num_times)
        last = times[-1].expand(len(clean))
        noisy, estimate = draw(last)
        for name, p in processes.items():
            sums[name] = sums[name] + p.reconstruction(
                getattr(noisy, name), estimate[name], values[name], last, masks[name]
            )
        return Bound({**sums, "num_atoms": -SizePrior(model.statistics.sizes).log_prob(clean.num_atoms)})

    def times(self, model: Model) -> Float[Tensor, " T"]:
        """The times of the steps, from 1 to that of the resolution, in float64."""
        pos = model.process.processes["pos"]
        schedule: NoiseSchedule = pos.schedule  # type: ignore[assignment]
        scale: float = pos.scale  # type: ignore[assignment]
        last = schedule.inverse(torch.tensor(2 * math.log(scale / self.resolution), dtype=torch.float64))
        root = last.clamp(0, 1) ** (1 / self.power)
        return (1 + torch.linspace(0, 1, self.num_steps + 1, dtype=torch.float64) * (root - 1)) ** self.power


def _estimate(model: Model, noisy: MolBatch, t: Tensor, context: Context) -> Prediction:
    """The clean estimate, the second one of a network that can see its own."""
    dtype = noisy.pos.dtype  # of the network
    estimate = model.process.estimate(noisy, model.denoiser(noisy, t.to(dtype), context), t)
    if not model.denoiser.self_conditioning:
        return estimate
    previous = Prediction(**{name: value.to(dtype) for name, value in estimate.present().items()})
    output = model.denoiser(noisy, t.to(dtype), replace(context, previous=previous))
    return model.process.estimate(noisy, output, t)
