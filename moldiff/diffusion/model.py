"""A trained model: network, noise law, sampler and statistics; and the folder or checkpoint that holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn

import moldiff.models  # noqa: F401  # the classes that configs name by their short names
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.statistics import Statistics
from moldiff.diffusion.joint import JointProcess
from moldiff.diffusion.process import Process
from moldiff.diffusion.sampler import EulerSampler, Sampler
from moldiff.models.denoiser import Denoiser

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.yaml", "card.md"
_PREFIX = "denoiser."


class ModelSpec:
    """The part of a training config that says what a model is: a constructor call written in YAML."""

    def __init__(
        self,
        denoiser: Callable[[Vocabulary], Denoiser],
        processes: dict[str, Process],
        sampler: Sampler | None = None,
        num_steps: int = 50,
    ) -> None:
        """Arguments as in `moldiff.training.DiffusionModule`."""
        self.denoiser, self.processes = denoiser, processes
        self.sampler, self.num_steps = sampler or EulerSampler(), num_steps


SPEC_KEYS = ("denoiser", "processes", "sampler", "num_steps")


@dataclass(frozen=True)
class Model:
    """What is needed to draw molecules."""

    denoiser: Denoiser
    process: JointProcess
    sampler: Sampler
    num_steps: int
    statistics: Statistics
    config: Mapping[str, Any]  # spec and statistics, as in config.yaml


def read_model(path: Path) -> Model:
    """Read a model folder (`model.safetensors` + `config.yaml`) or a training checkpoint; no pickled code is executed.

    Raises:
        FileNotFoundError: if nothing, or not a model, is there.
        ValueError: if the config and the weights do not fit.
    """
    path = Path(path)
    config = read_config(path)
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ModelSpec, None)
    try:
        spec = parser.instantiate_classes(parser.parse_object(deepcopy(config["spec"])))
        built = ModelSpec(**vars(spec))
    except (jsonargparse.ArgumentError, TypeError, KeyError) as error:
        raise ValueError(f"the config of the model at {path} cannot be built: {error}") from error
    statistics = Statistics.from_dict(config["statistics"])
    denoiser = built.denoiser(statistics.vocabulary)
    load_weights(denoiser, path)
    process = JointProcess(built.processes, statistics)
    return Model(denoiser.eval(), process, built.sampler, built.num_steps, statistics, config)


def read_config(path: Path) -> dict[str, Any]:
    """Spec and statistics of a model folder or checkpoint, as plain values."""
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise FileNotFoundError(
                f"no model at {path}: got a folder without {CONFIG}; expected one made by `moldiff export`"
            )
        config: dict[str, Any] = yaml.safe_load((path / CONFIG).read_text())
        return config
    checkpoint = read_checkpoint(path)
    hyper_parameters = checkpoint["hyper_parameters"]
    return {
        "spec": {k: hyper_parameters[k] for k in SPEC_KEYS if k in hyper_parameters},
        "statistics": checkpoint["statistics"],
    }


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A training checkpoint, loaded without executing pickled code."""
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}: expected a model folder, or a .ckpt file")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged or unsafe files
        raise ValueError(
            f"{path} cannot be read as a checkpoint of `moldiff fit`: got {type(error).__name__} ({str(error)[:200]}); "
            "it may be cut off, or made from Python objects in place of a config"
        ) from error
    if not {"state_dict", "hyper_parameters", "statistics"} <= set(checkpoint):
        raise ValueError(
            f"{path} is no checkpoint of `moldiff fit`: got the keys {sorted(checkpoint)}; give one that is"
        )
    return checkpoint


def read_weights(path: Path) -> dict[str, Tensor]:
    """The denoiser's weights of a model folder or a checkpoint (there: the averaged ones, if averaging was on)."""
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
    state = read_checkpoint(path)["state_dict"]
    return {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}


def load_weights(denoiser: nn.Module, path: Path) -> None:
    """Put the weights of a model into a network of the same shape."""
    weights, own = read_weights(path), denoiser.state_dict()
    wrong = sorted(set(own) ^ set(weights)) or [name for name in own if own[name].shape != weights[name].shape]
    if wrong:
        raise ValueError(
            f"the weights at {path} are of another network (first difference: {wrong[0]}): use its own config"
        )
    denoiser.load_state_dict(weights)
