"""Weights and statistics in checkpoints of training and in model folders; no pickled code is executed."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from moldiff.chem.packed import check_zip
from moldiff.data.statistics import Statistics
from moldiff.nn.graph_transformer_block import GraphTransformerBlock

WEIGHTS, CONFIG = "model.safetensors", "config.yaml"

_logger = logging.getLogger(__name__)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A training checkpoint, loaded without executing pickled code."""
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}: expected a model folder, or a .ckpt file")
    try:
        if zipfile.is_zipfile(path):
            check_zip(path)
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged or unsafe files
        unsafe = re.search(r"GLOBAL:? (\S+)", str(error))
        why = (
            f"it holds the Python object {unsafe[1]}, which is not loaded since it could execute code; make the module "
            "from a config, or from classes and functools.partial"
            if unsafe
            else f"it is cut off, damaged, or something else ({type(error).__name__}); copy it again"
        )
        raise ValueError(f"{path} cannot be read as a checkpoint of `moldiff fit`: {why}") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "hyper_parameters", "statistics"} <= set(checkpoint):
        got = sorted(map(str, checkpoint)) if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise ValueError(f"{path} is no checkpoint of `moldiff fit`: got {got}; give one that is")
    if not all(
        isinstance(checkpoint[key], dict) for key in ("state_dict", "hyper_parameters", "statistics")
    ) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in checkpoint["state_dict"].items()
    ):
        raise ValueError(f"{path} is a damaged checkpoint: got no names and weights in it; give another")
    return checkpoint


def read_weights(path: Path, network: str = "denoiser") -> dict[str, Tensor]:
    """Weights of a folder, or of a network in a checkpoint (there: the averaged ones, if averaging was on)."""
    path = Path(path)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise FileNotFoundError(f"no weights at {path}: expected {WEIGHTS} in this folder; export the model again")
        try:
            return load_file(path / WEIGHTS)
        except Exception as error:  # safetensors raises its own kind, which is not exported
            raise ValueError(
                f"{path / WEIGHTS} cannot be read ({error}): the file may be cut off; copy it again"
            ) from error
    state, prefix = read_checkpoint(path)["state_dict"], f"{network}."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def load_weights(denoiser: nn.Module, path: Path, may_lack: Sequence[str] = ()) -> None:
    """Put the weights of a model into a network of the same shape.

    Weights whose names begin with one of `may_lack` stay as they are if the model has none such, which is logged.
    """
    weights = read_weights(path)
    own = denoiser.state_dict()
    lacking = [part for part in may_lack if not any(name.startswith(part) for name in weights)]
    new = [part.rstrip(".") for part in lacking if any(name.startswith(part) for name in own)]
    for part in new:
        module = denoiser.get_submodule(part)
        if isinstance(module, GraphTransformerBlock):
            module.silence()
    if new:
        _logger.warning(
            "the model at %s has no weights for %s: they begin without effect", path, ", ".join(sorted(new))
        )
    weights |= {name: value for name, value in denoiser.state_dict().items() if name.startswith(tuple(lacking))}
    put_weights(weights, denoiser, path)


def put_weights(weights: dict[str, Tensor], network: nn.Module, path: Path) -> None:
    """Put weights from `path` into a network; ValueError if they are not its own."""
    own = network.state_dict()
    got, expected = ({name: tuple(w.shape) for name, w in state.items()} for state in (weights, own))
    wrong = sorted(name for name in {**expected, **got} if got.get(name) != expected.get(name))
    if wrong:
        raise ValueError(
            f"the weights at {path} are of another network: {len(wrong)} differ, for example {wrong[0]}: got "
            f"{got.get(wrong[0], 'none')}, expected {expected.get(wrong[0], 'none')}; use its own settings"
        )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:  # a kind of numbers that cannot be converted
        raise ValueError(f"the weights at {path} cannot be used: {error}; export the model again") from error


def digest_of_weights(network: nn.Module) -> str:
    """The same for the same weights only, whatever files they came from."""
    found = sha256()
    for name, value in sorted(network.state_dict().items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def statistics_of(config: Mapping[str, Any], path: Path) -> Statistics:
    """Statistics of the training data in a checkpoint or the config of a model; ValueError if they are damaged."""
    try:
        return Statistics.from_dict(config["statistics"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        kind = type(error).__name__
        raise ValueError(
            f"the statistics of the model at {path} are damaged ({kind}: {error}); export it again"
        ) from error


@contextmanager
def at_most(limit: int) -> Iterator[None]:
    """Stop the making of a network that has far more parameters than its file, before it fills the memory."""
    total = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal total
        total += 0 if parameter is None else parameter.numel()
        if total > limit:
            raise ValueError(f"it makes a network of more than {limit:,} parameters; the weights are of a smaller one")

    hook = torch.nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
