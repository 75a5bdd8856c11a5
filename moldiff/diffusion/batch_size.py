"""How many molecules are denoised together."""

from __future__ import annotations

import torch


def default_batch_size(device: torch.device) -> int:
    """128; 512 on a GPU, which has the room, and is busy as long with a small batch as with a large one."""
    return 512 if device.type == "cuda" else 128
