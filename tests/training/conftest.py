"""Runs of `moldiff fit` that take a second: the tiny network of tiny.yaml on molecules of QM9."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from moldiff.cli import main
from moldiff.training import DiffusionModule

Run = Callable[..., None]


@pytest.fixture(autouse=True, scope="package")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the data of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLDIFF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def molecules(root: Path) -> Path:
    return root / "tests" / "fixtures" / "qm9_200.sdf"


@pytest.fixture(scope="session")
def run(root: Path, molecules: Path) -> Run:
    """`run(folder, "fit", *options)` in a folder; the log is logs/metrics.csv, the checkpoints are in checkpoints/."""

    def run(folder: Path, command: str, *options: str) -> None:
        config = str(root / "tests" / "training" / "tiny.yaml")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            main([command, "--config", config, "--data.init_args.path", str(molecules), *options])

    return run


@pytest.fixture(scope="package")
def trained(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run: checkpoints/epoch=1-step=5.ckpt, epoch=2-step=10.ckpt and last.ckpt (12 steps)."""
    folder = tmp_path_factory.mktemp("trained")
    run(folder, "fit")
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, float]]:
    """Step, number within the epoch, and a fingerprint of every batch that a module is trained on in this test."""
    batches: list[tuple[int, int, float]] = []
    training_step = DiffusionModule.training_step

    def step(self: DiffusionModule, batch: Any, batch_idx: int) -> torch.Tensor:
        batches.append((self.global_step, batch_idx, float(batch.pos.double().square().sum())))
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(DiffusionModule, "training_step", step)
    return batches
