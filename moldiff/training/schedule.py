"""What the training modules share: optimizer and learning rate, the last checkpoint, settings as a config."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from moldiff.diffusion.settings import as_config
from moldiff.training.muon import MuonAdamW

_logger = logging.getLogger(__name__)


class ConfiguredRate(LambdaLR):
    """Where a checkpoint is gone on with, its place in the schedule counts, and the rate that the config gives now."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take all from a checkpoint but the learning rates at factor 1."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "base_lrs"})


def optimizers(
    trainer: pl.Trainer,
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    lr: float,
    weight_decay: float,
    warmup_steps: int,
    decay_fraction: float,
) -> dict[str, Any]:
    """Muon and AdamW with warm-up, constant rate and an optional linear decay, as `configure_optimizers` gives them.

    Raises:
        ValueError: if the rate decays and the trainer knows no end.
    """
    optimizer = MuonAdamW(named_parameters, lr=lr, weight_decay=weight_decay)
    if decay_fraction > 0 and trainer.max_steps == -1 and trainer.max_epochs == -1:
        raise ValueError(
            "decay_fraction needs a known end: got no max_steps or max_epochs; set one, or decay_fraction to 0"
        )

    @cache
    def total() -> float:  # asked for in the first step: earlier, a resumed run would lose its place in the epoch
        return trainer.estimated_stepping_batches

    def factor(step: int) -> float:
        rate = min(1.0, (step + 1) / max(1, warmup_steps))
        if decay_fraction == 0 or step == 0:
            return rate
        return min(rate, max(0.0, (total() - step) / (decay_fraction * total())))

    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": ConfiguredRate(optimizer, factor), "interval": "step"},
    }


def warn_if_done(trainer: pl.Trainer | None, checkpoint: dict[str, Any]) -> None:
    """Say that there is nothing to train, where a checkpoint is gone on with that has all steps already."""
    if trainer is not None and trainer.training and 0 <= trainer.max_steps <= checkpoint["global_step"]:
        _logger.warning(
            "the checkpoint has %d steps, and max_steps is %d: nothing to do; raise --trainer.max_steps to go on",
            *(checkpoint["global_step"], trainer.max_steps),
        )


def save_at_the_end(trainer: pl.Trainer, interrupted: bool) -> None:
    """Save the last checkpoint once more when the training ends, before averaged weights replace the others."""
    last_epoch = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
    if interrupted or last_epoch or trainer.should_stop or trainer.global_step == trainer.max_steps:
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.save_last:
                callback._save_last_checkpoint(trainer, callback._monitor_candidates(trainer))


def keep_as_config(module: pl.LightningModule, network: str) -> bool:
    """Write a module's hyper-parameters as a config, if its network was given as Python objects; whether they are one.

    `network`: name of the argument that is a class with arguments. What cannot be written is pickled by Lightning, and
    never loaded again.
    """
    if isinstance(module.hparams[network], dict | str):  # as LightningCLI has it
        return True
    with suppress(TypeError):
        plain = as_config(dict(module.hparams))
        module.save_hyperparameters({**plain, "_instantiator": "pytorch_lightning.cli.instantiate_module"})
        return True
    return False
