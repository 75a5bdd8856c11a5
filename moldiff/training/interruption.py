"""Ctrl-C while a model is trained: the running step is finished and kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

TOGETHER = 1.0  # s; signals that come so soon after each other are one Ctrl-C, passed on by a program such as timeout


class Interruption:
    """Hears the first Ctrl-C without stopping; the second one stops at once."""

    def __init__(self) -> None:
        self.asked, self.process, self.time = False, 0, 0.0

    def listen(self) -> None:
        """Hear Ctrl-C from now on, unless somebody else does; Lightning puts the former handler back at the end."""
        self.asked, self.process = False, os.getpid()
        known = threading.current_thread() is threading.main_thread()
        if known and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:  # it gathers batches for that one, and ends with it
            return
        if self.asked:
            if time.monotonic() - self.time >= TOGETHER:
                signal.default_int_handler(number, frame)
            return
        self.asked, self.time = True, time.monotonic()
        os.write(
            2,
            b"\ninterrupted: stops after a step, which is kept; Ctrl-C once more stops at once\n",
        )


def ending(trainer: pl.Trainer) -> str:
    """What an interrupted run has kept at the end of its last step."""
    callbacks = [x for x in trainer.checkpoint_callbacks if isinstance(x, ModelCheckpoint) and x.save_last]
    if not callbacks:
        return "nothing is kept of the last step, as no ModelCheckpoint has save_last: true"
    path = os.path.relpath(callbacks[0].last_model_path)
    return f"{trainer.global_step} steps are kept in {path}: --ckpt_path last goes on from there"
