"""A trained model: network, noise law, sampler and statistics; and the folder or checkpoint that holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import torch

import moldiff.models  # noqa: F401  # the classes that configs name by their short names
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.statistics import Statistics
from moldiff.data.yaml_file import read_yaml
from moldiff.diffusion.checkpoint import CONFIG, at_most, put_weights, read_checkpoint, read_weights, statistics_of
from moldiff.diffusion.class_names import check_classes, class_paths
from moldiff.diffusion.joint import JointProcess
from moldiff.diffusion.latent import LatentProcess, process_of
from moldiff.diffusion.process import Process
from moldiff.diffusion.regressor import Regressor
from moldiff.diffusion.sampler import EulerSampler, Sampler
from moldiff.models.denoiser import Denoiser

CARD, REGRESSOR = "card.md", "regressor"


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
        if num_steps < 1:
            raise ValueError(f"num_steps must be at least 1: got {num_steps}")
        self.denoiser, self.processes = denoiser, processes
        self.sampler, self.num_steps = sampler or EulerSampler(), num_steps


SPEC_KEYS = ("denoiser", "processes", "sampler", "num_steps")


@dataclass(frozen=True)
class Model:
    """What is needed to draw molecules."""

    denoiser: Denoiser
    process: JointProcess | LatentProcess
    sampler: Sampler
    num_steps: int
    statistics: Statistics
    config: Mapping[str, Any]  # spec and statistics, as in config.yaml; empty if the model cannot be written as one
    regressor: Regressor | None = None  # predicts the properties that molecules may be asked to have

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.denoiser.parameters()).device


def read_model(path: Path, trust: bool = False) -> Model:
    """Read a model folder (`model.safetensors` + `config.yaml`) or a training checkpoint; no pickled code is executed.

    A folder `regressor` in the model's holds its regressor of properties.

    Args:
        path: the folder or checkpoint.
        trust: whether it may name classes from outside of this package, which can run any code.

    Raises:
        FileNotFoundError: if nothing, or not a model, is there.
        ValueError: if the config and the weights do not fit, or a foreign class is named without trust.
    """
    path = Path(path)
    config = read_config(path)
    statistics, weights = statistics_of(config, path), read_weights(path)
    spec = _read_spec(config["spec"], path, trust)
    try:
        with at_most(2 * sum(weight.numel() for weight in weights.values()) + 100_000):
            denoiser = spec.denoiser(statistics.vocabulary)
        process = process_of(denoiser, spec.processes, statistics)
    except Exception as error:  # whatever a constructor raises on arguments that do not suit it
        raise ValueError(
            f"the config of the model at {path} cannot be built ({error}): export the model again"
        ) from error
    put_weights(weights, denoiser, path)
    regressor = Regressor.read(path / REGRESSOR, trust) if (path / REGRESSOR).is_dir() else None
    return Model(denoiser.eval(), process, spec.sampler, spec.num_steps, statistics, config, regressor)


def _read_spec(values: dict[str, Any], path: Path, trust: bool) -> ModelSpec:
    """The objects that the config of a model names."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ModelSpec, None)
    if not trust:
        check_classes(values, path)
    try:
        parsed = parser.parse_object(deepcopy(values))
        named = sorted(class_paths(parsed.as_dict()))
    except Exception as error:  # jsonargparse raises many kinds
        raise ValueError(
            f"the config of the model at {path} cannot be built ({error}): export the model again"
        ) from error
    if not trust:  # short names stand for classes that somebody has imported
        check_classes(named, path)
    try:
        return ModelSpec(**vars(parser.instantiate(parsed)))
    except Exception as error:  # whatever a constructor raises on arguments that do not suit it
        raise ValueError(
            f"the config of the model at {path} cannot be built ({error}): export the model again"
        ) from error


def read_config(path: Path) -> dict[str, Any]:
    """Spec and statistics of a model folder or checkpoint, as plain values."""
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise FileNotFoundError(
                f"no model at {path}: got a folder without {CONFIG}; expected one made by `moldiff export`"
            )
        config = read_yaml(path / CONFIG)
        if not isinstance(config, dict) or not all(isinstance(config.get(k), dict) for k in ("spec", "statistics")):
            raise ValueError(
                f"{path / CONFIG} is no config of a model: expected the keys spec and statistics; use a folder made by "
                "`moldiff export`"
            )
        return config
    checkpoint = read_checkpoint(path)
    hyper_parameters = checkpoint["hyper_parameters"]
    return {
        "spec": {k: hyper_parameters[k] for k in SPEC_KEYS if k in hyper_parameters},
        "statistics": checkpoint["statistics"],
    }


def read_statistics(path: Path) -> Statistics:
    """Statistics of the data that the model of a folder or checkpoint was trained on."""
    return statistics_of(read_config(path), path)
