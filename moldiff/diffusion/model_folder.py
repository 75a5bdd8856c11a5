"""Writing model folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import save_file

from moldiff.diffusion.model import CARD, CONFIG, WEIGHTS, Model


def write_model(model: Model, folder: Path, card: str, half: bool = False) -> None:
    """Write `model.safetensors`, `config.yaml` and `card.md`, all or nothing.

    `half`: keep the weights as float16, which halves the file and rounds them by 0.05 % at most; they are used in
    float32 all the same.

    Raises:
        FileExistsError: if the folder exists.
        ValueError: if the model was made from Python objects that cannot be written as a config.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists: choose another folder, or remove this one")
    if not model.config:
        raise ValueError(
            "the model cannot be written as a config: it was made from other Python objects than classes and "
            "functools.partial; make it from those"
        )
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    dtype = torch.float16 if half else torch.float32
    state = {name: value.detach().cpu().contiguous() for name, value in model.denoiser.state_dict().items()}
    weights = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
    try:
        save_file(weights, partial / WEIGHTS)
    except SafetensorError as error:
        raise OSError(f"{partial / WEIGHTS} could not be written ({error}): make room") from error
    (partial / WEIGHTS).chmod(0o644)  # as the other files: safetensors makes it for the owner alone
    (partial / CONFIG).write_text(yaml.safe_dump(dict(model.config), sort_keys=False), encoding="utf-8")
    (partial / CARD).write_text(card, encoding="utf-8")
    partial.rename(folder)
