"""Molecules per second in the progress bar and the logs."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl


class Throughput(pl.Callback):
    """Logs `molecules/s`: training molecules per second of wall-clock time, without that of validation and saving."""

    def __init__(self, every_n_steps: int = 50) -> None:
        """`every_n_steps`: batches between two reports."""
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1: got {every_n_steps}; 50 is the default")
        self.every_n_steps = every_n_steps
        self.batches, self.molecules, self.seconds = 0, 0, 0.0  # since the last report
        self.since: float | None = None  # when the clock was started; None while it stands

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock if it stands."""
        if self.since is None:
            self.since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count and report."""
        self.batches += 1
        self.molecules += len(batch) * trainer.world_size
        if self.batches >= self.every_n_steps:
            self._stop()
            pl_module.log("molecules/s", self.molecules / max(self.seconds, 1e-9), prog_bar=True)
            self.batches, self.molecules, self.seconds = 0, 0, 0.0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self._stop()

    def _stop(self) -> None:
        if self.since is not None:
            self.seconds += time.perf_counter() - self.since
            self.since = None
