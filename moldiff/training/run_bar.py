"""A progress bar of the whole training, in place of Lightning's, which has one for each epoch."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

_EVERY = 20  # steps between two looks at the loss, each of which would wait for a GPU
_MEMORY = 0.9  # of the mean of the loss, for each look


class RunBar(pl.callbacks.ProgressBar):
    """Shows the steps done, the time left, the epoch, the loss (its recent mean), and what is logged for progress bars.

    In `validate` and `test`, it shows the batches. Nothing is shown where the output is not a terminal.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm[Any] | None = None
        self.loss = math.nan
        self._shown = True

    def disable(self) -> None:
        """Show nothing; for Lightning."""
        self._shown = False

    def enable(self) -> None:
        """Show it again."""
        self._shown = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Write a line above the bar."""
        tqdm.write(" ".join(map(str, args)), end=kwargs.get("end", "\n"))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        self._open("training", num_steps(trainer), "step", trainer.global_step)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Lightning's hook."""
        if self.bar is None:
            return
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None and trainer.global_step % _EVERY == 0:
            value = float(loss) * trainer.accumulate_grad_batches  # Lightning gives it divided
            self.loss = value if math.isnan(self.loss) else _MEMORY * self.loss + (1 - _MEMORY) * value
        self._show(trainer, pl_module)
        self.bar.update(trainer.global_step - self.bar.n)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        if trainer.state.fn != "fit":
            self._open("validation", sum(trainer.num_val_batches), "batch")
        elif self.bar is not None:
            self.bar.set_description("validation")

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Lightning's hook."""
        if trainer.state.fn != "fit" and self.bar is not None:
            self.bar.update()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        if trainer.state.fn != "fit":
            self._close()
        elif self.bar is not None:
            self.bar.set_description("training")
            self._show(trainer, pl_module)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        self._open("test", sum(trainer.num_test_batches), "batch")

    def on_test_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Lightning's hook."""
        if self.bar is not None:
            self.bar.update()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Lightning's hook."""
        self._close()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lightning's hook."""
        self._close()

    def _open(self, name: str, total: float, unit: str, initial: int = 0) -> None:
        self._close()
        if self._shown:
            whole = int(total) if math.isfinite(total) else None
            self.bar = tqdm(total=whole, initial=initial, unit=unit, desc=name, disable=None, dynamic_ncols=True)

    def _show(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.bar is not None:
            items: dict[str, Any] = {"epoch": trainer.current_epoch, "loss": self.loss}
            items |= {k: v for k, v in self.get_metrics(trainer, pl_module).items() if k != "v_num"}
            self.bar.set_postfix({k: v for k, v in items.items() if v == v}, refresh=False)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def num_steps(trainer: pl.Trainer) -> float:
    """Of the whole training; infinity if it has no end but a limit of time."""
    by_steps = trainer.max_steps if trainer.max_steps >= 0 else math.inf
    epochs = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs >= 0 else math.inf
    in_epoch = trainer.num_training_batches / trainer.accumulate_grad_batches
    return min(by_steps, epochs * (math.ceil(in_epoch) if math.isfinite(in_epoch) else in_epoch))
