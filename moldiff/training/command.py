"""`moldiff fit`, `validate` and `test`: Lightning's command line for this package's modules."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import CheckpointIO
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

import moldiff.models
import moldiff.training  # noqa: F401  # the classes that configs name by their short names
from moldiff.data import MoleculeDataModule
from moldiff.data.yaml_file import read_yaml
from moldiff.diffusion.checkpoint import read_checkpoint
from moldiff.diffusion.class_names import check_classes, class_paths
from moldiff.diffusion.model import SPEC_KEYS
from moldiff.diffusion.model_folder import find_model
from moldiff.diffusion.precision import use_bfloat16
from moldiff.diffusion.process_settings import prepare_process
from moldiff.training.atomic_checkpoint import AtomicCheckpointIO
from moldiff.training.likelihood import Likelihood
from moldiff.training.module import DiffusionModule
from moldiff.training.run_bar import RunBar

_NO_FILES = r"(last|best|hpc|registry)$|registry:|\w+://"  # what Lightning takes for a checkpoint, besides files
_NOISE = (  # warnings of Lightning that a user can do nothing about: what they warn of is meant, or harmless
    "You're using the WeightAveraging callback with a model that overrides the configure_model",
    "You're using the WeightAveraging callback, but loading a checkpoint outside the 'fit' stage",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


def run_trainer(
    arguments: list[str], module: type[pl.LightningModule] = DiffusionModule, name: str | None = None
) -> None:
    """Run `fit`, `validate` or `test`, the first of the arguments, with its options, for a kind of module.

    `name`: what users call the command, if not so.

    Raises:
        FileNotFoundError: if a checkpoint or a data file is missing.
        ValueError: if a checkpoint cannot be read, or does not fit the model, or the trainer's settings contradict each
            other or the machine.
        KeyboardInterrupt: telling what is kept.
    """
    prepare_process()
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(_no_advertisement)
    with warnings.catch_warnings():
        for message in _NOISE:
            warnings.filterwarnings("ignore", message)
        try:
            TrainingCLI(
                module,
                MoleculeDataModule,
                subclass_mode_data=True,
                auto_configure_optimizers=False,
                seed_everything_default=0,
                save_config_callback=KeepConfig,
                save_config_kwargs={"config_filename": "fit.yaml", "overwrite": True},
                parser_kwargs={
                    "prog": "moldiff",
                    **{c: {"usage": f"moldiff {name or c} --config FILE [options]"} for c in TrainingCLI.subcommands()},
                },
                args=arguments,
            )
        except MisconfigurationException as error:
            raise ValueError(str(error)) from error
        except RuntimeError as error:
            if "Error(s) in loading state_dict" not in str(error):
                raise
            raise ValueError(_misfit(str(error))) from error
        except SystemExit as error:
            if not isinstance(error.__context__, KeyboardInterrupt):
                raise
            lost = "nothing is kept of what was done since the last checkpoint" if arguments[0] == "fit" else ""
            raise KeyboardInterrupt(str(error.__context__) or lost) from None


class KeepConfig(SaveConfigCallback):
    """Keeps the whole config of a training beside its logs; nowhere without logs, where it could replace a user's."""

    def setup(self, trainer: Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lightning's hook."""
        if stage == "fit" and trainer.loggers:
            super().setup(trainer, pl_module, stage)


class TrainingCLI(LightningCLI):
    """LightningCLI without `predict`, for which there is `moldiff sample`.

    It chooses mixed precision where the hardware is fast at it and the config names none, writes checkpoints in one
    step, explains unreadable ones, and refuses to put a new run beside the checkpoints of another one.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> TrainingCLI:
        """Itself. The module's `denoiser` refers to it, and averaged weights copy the module: not trainer and data."""
        return self

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands, and the trainer's arguments that are no options of them."""
        return {name: skipped for name, skipped in LightningCLI.subcommands().items() if name != "predict"}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Options of the bound that `validate` and `test` log, in any config."""
        parser.add_lightning_class_args(Likelihood, "likelihood")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments that were handed over, whatever `sys.argv` holds; check them."""
        for argument in args:
            file = Path(argument.partition("=")[2] if argument.startswith("--") else argument)
            if file.suffix in (".yaml", ".yml") and file.is_file():
                read_yaml(file)  # jsonargparse would work on bombs for ever
        self.config = parser.parse_args(args)
        config = self.config[self.config.subcommand]
        checkpoint = config.get("ckpt_path")
        if checkpoint and Path(checkpoint).is_dir():
            raise ValueError(
                f"--ckpt_path {checkpoint}: got a folder; expected a .ckpt file. The model of a folder that "
                f"`moldiff export` has made is given by --model.init_from {checkpoint}"
            )
        if checkpoint and not re.match(_NO_FILES, checkpoint) and not Path(checkpoint).exists():
            raise FileNotFoundError(f"--ckpt_path {checkpoint}: no such file; expected a .ckpt file of an earlier run")
        for model in (config.model.get("init_from"), config.model.get("teacher")):
            if model is not None:
                find_model(model)  # before the run makes a folder for its logs
        if checkpoint and Path(checkpoint).is_file():
            _check_checkpoint(Path(checkpoint), class_paths(config.model.as_dict()))
        config.weights_only = True
        if self.config.subcommand != "fit" and not checkpoint and not config.model.get("init_from"):
            raise ValueError("got no model: give --ckpt_path FILE.ckpt, or --model.init_from FOLDER")
        if torch.backends.mps.is_available():
            if config.trainer.accelerator in ("mps", "gpu"):
                raise ValueError("Apple's GPUs (mps) have no float64 numbers: expected --trainer.accelerator cpu")
            if config.trainer.accelerator == "auto":
                config.trainer.accelerator = "cpu"
        if config.trainer.precision is None:
            gpu = torch.cuda.is_available() and config.trainer.accelerator in ("auto", "gpu", "cuda")
            fast = use_bfloat16(torch.device("cuda" if gpu else "cpu"))
            config.trainer.precision = "bf16-mixed" if fast else "32-true"

    def _parse_ckpt_path(self) -> None:
        """Lightning puts the model's settings of a checkpoint in place of those of the config, whatever the user gives.

        That is right for what is judged. Training goes on with the settings of the config, as with `--ckpt_path last`.
        """
        if self.config.get("subcommand") != "fit":
            super()._parse_ckpt_path()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, whose checkpoints are whole or not there, and which shows one bar, unless the config differs."""
        given = self._get(self.config_init, "trainer", default={})
        plugins, callbacks = (_as_list(given.get(name)) for name in ("plugins", "callbacks"))
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(AtomicCheckpointIO())
        shown = given.get("enable_progress_bar") is not False and not given.get("barebones")
        if shown and not any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks):
            callbacks.append(RunBar())
        return super().instantiate_trainer(plugins=plugins, callbacks=callbacks, **kwargs)

    def before_fit(self) -> None:
        """Refuse a folder that holds the checkpoints of another run: the old ones would be taken for the new ones."""
        given = self.config.fit.ckpt_path
        if given is not None and not Path(given).is_file():
            return  # `last`, or nothing
        for callback in self.trainer.checkpoint_callbacks:
            folder = getattr(callback, "dirpath", None)
            old = sorted(Path(folder).glob("last*.ckpt")) if folder and getattr(callback, "save_last", False) else []
            if old and not (given is not None and any(path.samefile(given) for path in old)):
                raise ValueError(
                    f"{old[0]} is the checkpoint of an earlier run: give --ckpt_path last to go on with it, move it "
                    "away, or choose another dirpath for the checkpoints"
                )

    def after_fit(self) -> None:
        """Say where the result is."""
        for callback in self.trainer.checkpoint_callbacks:
            path = getattr(callback, "last_model_path", "")
            if path and self.trainer.is_global_zero:
                sys.stdout.write(f"last checkpoint: {os.path.relpath(path)}\n")


def _as_list(given: Any) -> list[Any]:
    """None, one thing or several."""
    return list(given) if isinstance(given, list | tuple) else [] if given is None else [given]


def _check_checkpoint(path: Path, known: set[str]) -> None:
    """Lightning takes the model's settings from a checkpoint: it may name classes of ours, or of the user's config."""
    settings = read_checkpoint(path)["hyper_parameters"]
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: got hyper_parameters of type {type(settings).__name__}; expected a dictionary")
    spec = {key: value for key, value in settings.items() if key.split(".")[0] in SPEC_KEYS}
    check_classes(spec, path, known, "give a config that names its classes, too")


def _misfit(text: str) -> str:
    """One line for torch's report on weights that do not fit, which has one for each."""
    shapes = re.search(r"size mismatch for (\S+): .*?torch\.Size\((.*?)\).*?torch\.Size\((.*?)\)", text)
    missing = re.search(r'Missing key\(s\) in state_dict: "(.*?)"', text)
    further = re.search(r'Unexpected key\(s\) in state_dict: "(.*?)"', text)
    if shapes:
        found = f"got {shapes[1]} of shape {shapes[2]}; expected {shapes[3]}"
    elif missing:
        found = f"got no {missing[1]}, which the model has"
    else:
        found = f"got {further[1]}, which the model does not have" if further else "got other weights"
    return (
        f"the weights in the checkpoint do not fit the model: {found}: give the settings that the model was trained "
        "with, or leave out --ckpt_path and train anew, with the checkpoints in another folder"
    )


def _no_advertisement(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("💡 Tip:")
