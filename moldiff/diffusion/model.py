"""A trained model: network, noise law, sampler and statistics; and the folder or checkpoint that holds it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
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

_logger = logging.getLogger(__name__)


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
    config: Mapping[str, Any]  # spec and statistics, as in config.yaml; empty if the model cannot be written as one


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
        spec = parser.instantiate(parser.parse_object(deepcopy(config["spec"])))
        built = ModelSpec(**vars(spec))
    except (jsonargparse.ArgumentError, TypeError, KeyError) as error:
        raise ValueError(f"the config of the model at {path} cannot be built: {error}") from error
    statistics = _statistics(config, path)
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
        try:
            config = yaml.safe_load((path / CONFIG).read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path / CONFIG} is no YAML ({error}): export the model again") from error
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
    return _statistics(read_config(path), path)


def _statistics(config: Mapping[str, Any], path: Path) -> Statistics:
    try:
        return Statistics.from_dict(config["statistics"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        kind = type(error).__name__
        raise ValueError(
            f"the statistics of the model at {path} are damaged ({kind}: {error}); export it again"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A training checkpoint, loaded without executing pickled code."""
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}: expected a model folder, or a .ckpt file")
    try:
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


def load_weights(denoiser: nn.Module, path: Path, may_lack: Sequence[str] = ()) -> None:
    """Put the weights of a model into a network of the same shape.

    Weights whose names begin with one of `may_lack` stay as they are if the model has none of them, which is logged.
    """
    weights, own = read_weights(path), denoiser.state_dict()
    lacking = {k: v for k, v in own.items() if k.startswith(tuple(may_lack)) and k not in weights}
    parts = sorted({name.split(".")[0] for name in lacking})
    if lacking and not any(name.startswith(tuple(may_lack)) for name in weights):
        _logger.warning("the model at %s has no weights for %s: they begin without effect", path, ", ".join(parts))
        weights = {**weights, **lacking}
    got, expected = ({name: tuple(w.shape) for name, w in state.items()} for state in (weights, own))
    wrong = sorted(name for name in {**expected, **got} if got.get(name) != expected.get(name))
    if wrong:
        raise ValueError(
            f"the weights at {path} are of another network: {len(wrong)} differ, for example {wrong[0]}: got "
            f"{got.get(wrong[0], 'none')}, expected {expected.get(wrong[0], 'none')}; use its own settings"
        )
    denoiser.load_state_dict(weights)
