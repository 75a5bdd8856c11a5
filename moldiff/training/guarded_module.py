"""What all modules do about batches that they cannot learn from."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from moldiff.training.bad_batches import BadBatches, fault_of_gradients
from moldiff.training.interruption import Interruption, ending
from moldiff.training.schedule import save_at_the_end


class GuardedModule(pl.LightningModule):
    """Stops, or goes on without the batch, where losses or gradients are no finite numbers."""

    bad_batches: BadBatches

    @abstractmethod
    def weights(self) -> list[tuple[str, nn.Parameter]]:
        """What is trained, by name."""

    def without(self, fault: str) -> Tensor:
        """Stop, or the loss of a batch that is skipped, whose gradient is zero: all processes must have one."""
        weights = self.weights()
        self.bad_batches.handle(fault, self.global_step, weights)
        return torch.stack([(0 * weight).sum() for _, weight in weights if weight.requires_grad]).sum()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look at the gradients; Lightning itself deals with those of float16."""
        weights = self.weights()
        if self.trainer.precision != "16-mixed" and (fault := fault_of_gradients(weights)):
            self.bad_batches.handle(fault, self.global_step, weights)
            optimizer.zero_grad()

    @cached_property
    def interruption(self) -> Interruption:
        """Whether the user wants to stop."""
        return Interruption()

    def on_train_start(self) -> None:
        """From the first step on, Ctrl-C waits for the end of a step."""
        self.interruption.listen()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save the last checkpoint once more when the training ends, before averaged weights replace the others.

        Raises:
            KeyboardInterrupt: if the user wants to stop, in all processes after the same step.
        """
        self.bad_batches.next()
        whole = not self.trainer.fit_loop._should_accumulate()
        interrupted = whole and self.trainer.strategy.reduce_boolean_decision(self.interruption.asked, all=False)
        save_at_the_end(self.trainer, interrupted)
        if interrupted:
            raise KeyboardInterrupt(ending(self.trainer))

    def on_train_end(self) -> None:
        """Where Ctrl-C came after the last step, in a validation, the training is done, and what comes next is not.

        Raises:
            KeyboardInterrupt: if the user wants to stop.
        """
        if self.interruption.asked:
            raise KeyboardInterrupt(ending(self.trainer))
