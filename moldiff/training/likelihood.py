"""A callback: how likely the model finds the molecules of a split."""

from __future__ import annotations

import warnings
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import ComplexBatch
from moldiff.diffusion.likelihood import VariationalBound
from moldiff.diffusion.noise import StreamNoise
from moldiff.training.module import DiffusionModule


class Likelihood(pl.Callback):
    """Logs a bound of -log p(molecule) in `moldiff validate` and `test`, in nats, averaged over the molecules.

    `val/nll` (or `test/nll`) is the sum of the shares `val/nll/pos`, `.../atom_types`, ... and `.../num_atoms`, and
    `val/nll/standard_error` is its standard error over molecules and drawn times; for molecules in pockets, given
    their pockets, `val/pocket/nll`. The network runs in float32. The validation within `fit` leaves all this out: it
    takes many times as long as the losses.
    """

    def __init__(
        self, num_times: int = 8, num_steps: int = 1000, resolution: float = 0.00316, power: float = 5.0
    ) -> None:
        """Arguments as in `moldiff.diffusion.likelihood.VariationalBound`; `num_times` = 0: nothing is logged."""
        self.bound = VariationalBound(num_times, num_steps, resolution, power) if num_times else None
        self.totals: dict[str, list[Tensor]] = {}  # of the molecules so far

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: MolBatch | ComplexBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Of one batch, at noise that depends on its number only."""
        if trainer.state.fn != TrainerFn.FITTING:
            self._log(pl_module, "val", batch, batch_idx)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: MolBatch | ComplexBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """The same on the test split."""
        self._log(pl_module, "test", batch, batch_idx)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the standard errors."""
        self._log_errors(pl_module)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The same on the test split."""
        self._log_errors(pl_module)

    def _log(self, module: pl.LightningModule, split: str, batch: MolBatch | ComplexBatch, batch_idx: int) -> None:
        assert isinstance(module, DiffusionModule), "this callback is for a DiffusionModule"
        if self.bound is None:
            return
        try:
            module.process.bounded()
        except ValueError as error:
            warnings.warn(str(error), stacklevel=2)
            self.bound = None
            return
        name = f"{split}/nll" if isinstance(batch, MolBatch) else f"{split}/pocket/nll"
        noise = StreamNoise(torch.Generator(module.device).manual_seed(batch_idx))
        found = self.bound(module.model(), batch, noise)
        self.totals.setdefault(name, []).append(found.total)
        shares = {f"{name}/{field}": value.mean() for field, value in found.shares.items()}
        means = {name: found.total.mean(), **shares}
        module.log_dict(
            means,
            batch_size=len(batch),
            on_step=False,
            on_epoch=True,
            add_dataloader_idx=False,
            sync_dist=module.trainer.world_size > 1,
        )

    def _log_errors(self, module: pl.LightningModule) -> None:
        shared = module.trainer.world_size > 1
        for name, values in self.totals.items():
            of_all = torch.cat(values)
            sums = torch.stack([torch.ones_like(of_all), of_all, of_all.square()]).sum(1)
            gathered = module.all_gather(sums) if shared else sums[None]  # of all processes
            assert isinstance(gathered, Tensor)
            n, first, second = gathered.sum(0)
            if n > 1:
                variance = ((second - first.square() / n) / (n - 1)).clamp(min=0)
                module.log(f"{name}/standard_error", (variance / n).sqrt(), sync_dist=shared)
        self.totals = {}
