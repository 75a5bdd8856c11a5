"""Molecules per second in the progress bar and the logs."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl


class Throughput(pl.Callback):
    """Logs `molecules/s`: training molecules per second of wall-clock time since the last report."""

    def __init__(self, every_n_steps: int = 50) -> None:
        """`every_n_steps`: steps between two reports."""
        self.every_n_steps, self.molecules, self.since = every_n_steps, 0, 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock anew after validation or saving."""
        if self.molecules == 0:
            self.since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count and report."""
        self.molecules += len(batch) * trainer.world_size
        if (batch_idx + 1) % self.every_n_steps == 0:
            rate = self.molecules / (time.perf_counter() - self.since)
            pl_module.log("molecules/s", rate, prog_bar=True)
            self.molecules = 0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do not count the time of validation."""
        self.molecules = 0
