"""A trained model: network, noise law, sampler and statistics; and the folder or checkpoint that holds it."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import moldiff.models  # noqa: F401  # the classes that configs name by their short names
from moldiff.chem.packed import check_zip
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.statistics import Statistics
from moldiff.data.yaml_file import read_yaml
from moldiff.diffusion.class_names import check_classes, class_paths
from moldiff.diffusion.joint import JointProcess
from moldiff.diffusion.latent import LatentProcess, process_of
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


def read_model(path: Path, trust: bool = False) -> Model:
    """Read a model folder (`model.safetensors` + `config.yaml`) or a training checkpoint; no pickled code is executed.

    Args:
        path: the folder or checkpoint.
        trust: whether it may name classes from outside of this package, which can run any code.

    Raises:
        FileNotFoundError: if nothing, or not a model, is there.
        ValueError: if the config and the weights do not fit, or a foreign class is named without trust.
    """
    path = Path(path)
    config = read_config(path)
    statistics, weights = _statistics(config, path), read_weights(path)
    spec = _read_spec(config["spec"], path, trust)
    try:
        with _at_most(2 * sum(weight.numel() for weight in weights.values()) + 100_000):
            denoiser = spec.denoiser(statistics.vocabulary)
        process = process_of(denoiser, spec.processes, statistics)
    except Exception as error:  # whatever a constructor raises on arguments that do not suit it
        raise ValueError(
            f"the config of the model at {path} cannot be built ({error}): export the model again"
        ) from error
    _put(weights, denoiser, path)
    return Model(denoiser.eval(), process, spec.sampler, spec.num_steps, statistics, config)


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


def _unbuildable(path: Path, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())[:500]
    return ValueError(f"the config of the model at {path} cannot be built ({reason}): export the model again")


@contextmanager
def _at_most(limit: int) -> Iterator[None]:
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
    weights = read_weights(path)
    lacking = {k: v for k, v in denoiser.state_dict().items() if k.startswith(tuple(may_lack)) and k not in weights}
    if lacking and not any(name.startswith(tuple(may_lack)) for name in weights):
        parts = ", ".join(sorted({name.split(".")[0] for name in lacking}))
        _logger.warning("the model at %s has no weights for %s: they begin without effect", path, parts)
        weights = {**weights, **lacking}
    _put(weights, denoiser, path)


def _put(weights: dict[str, Tensor], denoiser: nn.Module, path: Path) -> None:
    own = denoiser.state_dict()
    got, expected = ({name: tuple(w.shape) for name, w in state.items()} for state in (weights, own))
    wrong = sorted(name for name in {**expected, **got} if got.get(name) != expected.get(name))
    if wrong:
        raise ValueError(
            f"the weights at {path} are of another network: {len(wrong)} differ, for example {wrong[0]}: got "
            f"{got.get(wrong[0], 'none')}, expected {expected.get(wrong[0], 'none')}; use its own settings"
        )
    try:
        denoiser.load_state_dict(weights)
    except RuntimeError as error:  # a kind of numbers that cannot be converted
        raise ValueError(f"the weights at {path} cannot be used: {error}; export the model again") from error
