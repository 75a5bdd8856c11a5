"""Checkpoints that are there as a whole or not at all, wherever the process is killed."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, waits until it is on disk, and renames it; for `Trainer(plugins=[...])`.

    Lightning's own writes in the folder for temporary files; if that is on another disk, the checkpoint is copied to
    its place, and half a file is there meanwhile.
    """

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint, or leave what is there.

        Raises:
            OSError: if there is no room or no permission.
        """
        if storage_options is not None or "://" in str(path):  # no local file
            super().save_checkpoint(dict(checkpoint), path, storage_options)
            return
        place = Path(path)
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            for old in place.parent.glob(f".{place.name}.*"):
                old.unlink(missing_ok=True)  # of a process that was killed while it wrote: only one saves at a time
            with temporary.open("wb") as file:
                torch.save(dict(checkpoint), file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(place)
        except (OSError, RuntimeError) as error:  # torch tells of a full disk by a RuntimeError
            temporary.unlink(missing_ok=True)
            if isinstance(error, RuntimeError) and not isinstance(error.__context__, OSError):
                raise
            cause = error if isinstance(error, OSError) else error.__context__
            assert isinstance(cause, OSError)
            raise OSError(
                cause.errno or errno.EIO,
                f"{cause.strerror}; the checkpoint before it is whole: make room, then --ckpt_path last",
                str(place),
            ) from error
