"""Weights from model folders (safetensors) and from checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

PREFIX = "denoiser."


def read_weights(path: Path) -> dict[str, Tensor]:
    """The denoiser's weights of a model folder or a Lightning checkpoint, without executing pickled code.

    Raises:
        FileNotFoundError: if there is neither `model.safetensors` in a folder nor a file of this name.
    """
    path = Path(path)
    file = path / "model.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"no weights at {path}: expected a model folder with model.safetensors, or a .ckpt file"
        )
    if file.suffix == ".safetensors":
        return load_file(file)
    state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}


def load_weights(denoiser: nn.Module, path: Path) -> None:
    """Put weights into a network of the same shape."""
    weights = read_weights(path)
    own = denoiser.state_dict()
    wrong = sorted(set(own) ^ set(weights)) or [n for n in own if own[n].shape != weights[n].shape]
    if wrong:
        raise ValueError(
            f"the weights at {path} are of another network (first difference: {wrong[0]}): use its own config"
        )
    denoiser.load_state_dict(weights)
