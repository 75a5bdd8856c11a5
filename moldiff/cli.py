"""The command line: `moldiff sample|evaluate|export`, and Lightning's `fit|validate|test|predict`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> None:
    """Run one command; errors that the user can mend are told in one line, with exit code 2."""
    arguments = list(sys.argv[1:] if args is None else args)
    train(arguments)


def train(arguments: list[str]) -> None:
    """Hand the arguments to LightningCLI."""
    from pytorch_lightning.cli import LightningCLI

    import moldiff.data.qm9_datamodule
    import moldiff.models
    import moldiff.training  # noqa: F401  # the classes that configs name by their short names
    from moldiff.data.datamodule import MoleculeDataModule
    from moldiff.training.module import DiffusionModule
    from moldiff.training.process_settings import keep_freed_memory

    keep_freed_memory()
    LightningCLI(
        DiffusionModule,
        MoleculeDataModule,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        args=arguments,
    )
