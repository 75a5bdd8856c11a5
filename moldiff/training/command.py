"""`moldiff fit`, `validate` and `test`: Lightning's command line for this package's modules."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

import moldiff.models
import moldiff.training  # noqa: F401  # the classes that configs name by their short names
from moldiff.data import MoleculeDataModule
from moldiff.diffusion.model import read_checkpoint
from moldiff.training.module import DiffusionModule
from moldiff.training.process_settings import keep_freed_memory

_NOISE = (  # warnings of Lightning that a user can do nothing about: what they warn of is meant, or harmless
    "You're using the WeightAveraging callback with a model that overrides the configure_model",
    "You're using the WeightAveraging callback, but loading a checkpoint outside the 'fit' stage",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


def run_trainer(arguments: list[str]) -> None:
    """Run `fit`, `validate` or `test`, the first of the arguments, with its options.

    Raises:
        FileNotFoundError: if a checkpoint or a data file is missing.
        ValueError: if a checkpoint cannot be read, or the trainer's settings contradict each other or the machine.
    """
    keep_freed_memory()
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(_no_advertisement)
    with warnings.catch_warnings():
        for message in _NOISE:
            warnings.filterwarnings("ignore", message)
        try:
            TrainingCLI(
                DiffusionModule,
                MoleculeDataModule,
                subclass_mode_data=True,
                auto_configure_optimizers=False,
                seed_everything_default=0,
                save_config_kwargs={"overwrite": True},
                parser_kwargs={
                    "prog": "moldiff",
                    **{c: {"usage": f"moldiff {c} --config FILE [options]"} for c in TrainingCLI.subcommands()},
                },
                args=arguments,
            )
        except MisconfigurationException as error:
            raise ValueError(str(error)) from error


class TrainingCLI(LightningCLI):
    """LightningCLI without `predict`, for which there is `moldiff sample`; explains unreadable checkpoints."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands, and the trainer's arguments that are no options of them."""
        return {name: skipped for name, skipped in LightningCLI.subcommands().items() if name != "predict"}

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments that were handed over, whatever `sys.argv` holds; check the checkpoint."""
        self.config = parser.parse_args(args)
        checkpoint = self.config[self.config.subcommand].get("ckpt_path")
        if checkpoint and Path(checkpoint).is_file():
            read_checkpoint(Path(checkpoint))


def _no_advertisement(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("💡 Tip:")
