"""The progress bar of the whole training."""

import io
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
from tqdm import tqdm

from moldiff.training import DiffusionModule, run_bar
from tests.training.conftest import Run

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")
SHOWN = ("--trainer.enable_progress_bar", "true")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal shows of the bars."""
    file = io.StringIO()

    def bar(**options: object) -> "tqdm[object]":
        return tqdm(**{**options, "disable": False, "file": file, "mininterval": 0.0, "ncols": 150})  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(run_bar, "tqdm", bar)
    return file


def lines(screen: io.StringIO, name: str) -> list[str]:
    return [line for line in screen.getvalue().split("\r") if line.startswith(name)]


def test_the_bar_counts_the_steps_of_the_whole_run(run: Run, tmp_path: Path, screen: io.StringIO) -> None:
    """Over epochs and validations, and on from those of a checkpoint; 12 steps are 2.4 epochs."""
    run(tmp_path, "fit", *SHOWN)
    first, *_, last = lines(screen, "training")
    assert " 0/12 [" in first
    assert " 12/12 [" in last
    assert "epoch=2" in last
    assert "val/loss=" in last
    assert lines(screen, "validation")
    screen.truncate(screen.seek(0))
    run(tmp_path, "fit", *SHOWN, "--ckpt_path", "last", "--trainer.max_steps", "14")
    first, *_, last = lines(screen, "training")
    assert " 12/14 [" in first
    assert " 14/14 [" in last


def test_the_bar_is_closed_after_an_error(
    run: Run, tmp_path: Path, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[tqdm[object]] = []
    made = run_bar.tqdm
    monkeypatch.setattr(run_bar, "tqdm", lambda **options: bars.append(made(**options)) or bars[-1])

    def fails(*_: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(DiffusionModule, "training_step", fails)
    with pytest.raises(SystemExit):
        run(tmp_path, "fit", *SHOWN)
    assert [bar.disable for bar in bars] == [True]  # that is how tqdm closes


@pytest.mark.parametrize(("command", "name"), [("validate", "validation"), ("test", "test")])
def test_judging_counts_batches(
    run: Run, trained: Path, tmp_path: Path, screen: io.StringIO, command: str, name: str
) -> None:
    run(tmp_path, command, *SHOWN, "--ckpt_path", str(trained / "checkpoints" / "last.ckpt"))
    done, total = lines(screen, name)[-1].split("| ")[1].split(" [")[0].split("/")
    assert done == total
    assert not lines(screen, "training")


def test_nothing_is_shown_if_that_is_asked_for_or_another_bar_is(run: Run, tmp_path: Path, screen: io.StringIO) -> None:
    run(tmp_path, "fit")  # tiny.yaml asks for none
    other = tmp_path / "other"
    other.mkdir()
    run(other, "fit", *SHOWN, "--trainer.callbacks+=TQDMProgressBar")
    assert not screen.getvalue()


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"max_steps": 7}, 7),
        ({"max_epochs": 3}, 30),
        ({"max_epochs": 3, "max_steps": 31}, 30),
        ({"max_epochs": -1}, float("inf")),
        ({"max_epochs": 3, "accumulate_grad_batches": 2}, 15),
        ({"max_epochs": 3, "accumulate_grad_batches": 3}, 12),
    ],
)
def test_number_of_steps(options: dict[str, int], steps: float) -> None:
    trainer = partial(pl.Trainer, accelerator="cpu", logger=False, enable_checkpointing=False)(**options)
    trainer.fit_loop.max_batches = 10
    assert run_bar.num_steps(trainer) == steps
