"""The noise law of whole molecules: one process for each field."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion.bounded import BoundedProcess
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import Process, StepOptions
from moldiff.diffusion.schedule import NoiseSchedule
from moldiff.models.denoiser import FIELDS, Prediction


class JointProcess(nn.Module):
    """The verbs of `Process` on a batch of molecules; fields without a process are None in its batches."""

    def __init__(self, processes: Mapping[str, Process], statistics: Statistics | None = None) -> None:
        """`processes`: field name -> process, with `pos` among them. `statistics`: calibrates the processes."""
        super().__init__()
        unknown = [name for name in processes if name not in FIELDS]
        if unknown or "pos" not in processes:
            raise ValueError(
                f"processes must be given for pos and any of {FIELDS[1:]}: got {sorted(processes)}; rename or add"
            )
        self.processes = nn.ModuleDict({name: processes[name] for name in FIELDS if name in processes})
        if statistics is not None:
            for name, process in self._items():
                process.calibrate(name, statistics)

    def _items(self) -> list[tuple[str, Process]]:
        return list(self.processes.items())  # type: ignore[arg-type]

    def signal(self, t: Float[Tensor, " T"]) -> Float[Tensor, " T"]:
        """Signal over noise, alpha / sigma, of the coordinates."""
        schedule: NoiseSchedule = self.processes["pos"].schedule  # type: ignore[assignment]
        at = schedule(t)
        return at.alpha / at.sigma

    def prior(self, mask: Bool[Tensor, "B N"], noise: Noise) -> MolBatch:
        """Molecules at t = 1, of the sizes that the mask tells."""
        empty = MolBatch(torch.empty(0, device=mask.device), None, None, None, mask)
        return empty.replace(**{name: p.prior(empty.mask_of(name), noise) for name, p in self._items()})

    def corrupt(self, clean: MolBatch, t: Float[Tensor, " B"], noise: Noise) -> MolBatch:
        """Molecules at time t; the coordinates of `clean` must be centred (see `moldiff.diffusion.frame`)."""
        values = self.fields(clean)
        noisy = MolBatch(clean.pos, None, None, None, clean.mask)
        return noisy.replace(
            **{name: p.corrupt(values[name], t, clean.mask_of(name), noise) for name, p in self._items()}
        )

    def fields(self, clean: MolBatch) -> dict[str, Tensor]:
        """The fields that have processes.

        Raises:
            ValueError: if the data lack one.
        """
        values = {name: getattr(clean, name) for name, _ in self._items()}
        for name, value in values.items():
            if value is None:
                raise ValueError(
                    f"the data have no {name}, which the process needs: give data with {name}, or drop its process"
                )
        return values

    def bounded(self) -> dict[str, BoundedProcess]:
        """The processes by field.

        Raises:
            ValueError: if one of them has no variational bound.
        """
        found = {}
        for name, process in self._items():
            if not isinstance(process, BoundedProcess):
                raise ValueError(
                    f"{type(process).__name__}, the process of {name}, has no bound of the likelihood: derive it from "
                    "BoundedProcess, or leave the bound out (--likelihood.num_times 0)"
                )
            found[name] = process
        return found

    def estimate(self, noisy: MolBatch, output: Prediction, t: Float[Tensor, " B"]) -> Prediction:
        """The clean estimate that the output of a denoiser stands for."""
        return Prediction(
            **{
                name: p.estimate(getattr(noisy, name), getattr(output, name), t, noisy.mask_of(name))
                for name, p in self._items()
            }
        )

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
        return noisy.replace(
            **{
                name: p.step(getattr(noisy, name), getattr(estimate, name), t, s, noisy.mask_of(name), noise, options)
                for name, p in self._items()
            }
        )

    def decode(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> MolBatch:
        """The molecules that a final estimate stands for."""
        out = MolBatch(estimate.pos, None, None, None, mask)
        return out.replace(**{name: p.decode(getattr(estimate, name)) for name, p in self._items()})

    def encode(self, clean: MolBatch) -> Prediction:
        """The clean estimate that stands for known molecules; undone by `decode`."""
        return Prediction(**{name: p.encode(getattr(clean, name)) for name, p in self._items()})

    def aim(
        self,
        noisy: MolBatch,
        reached: MolBatch,
        estimate: Prediction,
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
    ) -> MolBatch:
        """What the clean estimate at time t had to be, as molecules with class probabilities (see `Process.aim`)."""
        aims = {
            name: p.aim(getattr(noisy, name), getattr(reached, name), getattr(estimate, name), t, s)
            for name, p in self._items()
        }
        return noisy.replace(**aims)

    def loss(
        self, output: Prediction, clean: MolBatch, noisy: MolBatch, t: Float[Tensor, " B"]
    ) -> dict[str, Float[Tensor, " B"]]:
        """Weighted loss of each field and molecule."""
        return {
            name: p.loss(getattr(output, name), getattr(clean, name), getattr(noisy, name), t, clean.mask_of(name))
            for name, p in self._items()
        }

    def coding_loss(self, clean: MolBatch, noise: Noise) -> dict[str, Float[Tensor, " B"]]:
        """What is lost before the noise comes, to be added to `loss`: nothing (but see `LatentProcess`)."""
        return {}

    def baselines(self) -> dict[str, float]:
        """Weighted losses of always predicting the marginals, for the fields that have any."""
        return {name: p.baseline for name, p in self._items() if p.baseline is not None}
