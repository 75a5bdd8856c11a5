"""Finding and writing model folders."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from moldiff.diffusion.checkpoint import CONFIG, WEIGHTS
from moldiff.diffusion.model import CARD, REGRESSOR, Model

BUNDLED = Path(__file__).parents[1] / "weights"
DEFAULT = "qm9_distilled"


def find_model(model: str | Path, bundled: Path = BUNDLED) -> Path:
    """The folder of a bundled model by its name, or a path, which must exist.

    A folder without a model in it does not hide the bundled model of its name.

    Raises:
        FileNotFoundError: if there is no such model.
    """
    path = Path(model)
    names = sorted(folder.name for folder in bundled.iterdir() if folder.is_dir()) if bundled.is_dir() else []
    if str(model) in names and not (path.is_file() or (path / CONFIG).is_file()):
        path = bundled / str(model)
    if not path.exists():
        raise FileNotFoundError(
            f"no model {str(model)!r}: expected one of the bundled models {names}, or an existing path"
        )
    return path


def write_model(model: Model, folder: Path, card: str, half: bool = False) -> None:
    """Write `model.safetensors`, `config.yaml`, `card.md`, and a folder `regressor` if there is one, all or nothing.

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
    _write(model.denoiser, model.config, partial, half)
    if model.regressor is not None:
        _write(model.regressor.network, model.regressor.config, partial / REGRESSOR, half)
    (partial / CARD).write_text(card, encoding="utf-8")
    partial.rename(folder)


def _write(network: nn.Module, config: Mapping[str, Any], folder: Path, half: bool) -> None:
    """Weights and config of a network, into a new folder."""
    folder.mkdir(parents=True)
    dtype, path = torch.float16 if half else torch.float32, folder / WEIGHTS
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    weights = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
    try:
        save_file(weights, path)
    except SafetensorError as error:
        raise OSError(f"{path} could not be written ({error}): make room") from error
    path.chmod(0o644)  # as the other files: safetensors makes it for the owner alone
    text = yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=None, width=120)  # numbers side by side
    (folder / CONFIG).write_text(text, encoding="utf-8")
