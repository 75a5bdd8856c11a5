"""An interrupted run that goes on equals an uninterrupted one."""

import re
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint

from moldiff.data import SDFDataModule
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")

COMPARED = ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "global_step")


def read(path):
    return torch.load(path, weights_only=True)


def differences(a, b, place=""):
    """Places at which two nested values differ."""
    if isinstance(a, torch.Tensor):
        return [] if torch.allclose(a, b, rtol=1e-6, atol=1e-7) else [place]
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        return [d for key in a for d in differences(a[key], b[key], f"{place}/{key}")]
    if isinstance(a, list | tuple):
        assert len(a) == len(b)
        return [d for k, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{place}/{k}")]
    return [] if a == b else [place]


def assert_same(first, second):
    first, second = read(first), read(second)
    assert differences({k: first[k] for k in COMPARED}, {k: second[k] for k in COMPARED}) == []


@pytest.fixture
def whole(run, tmp_path, seen):
    """A whole run in this test's folder, and the batches that it saw."""
    folder = tmp_path / "whole"
    folder.mkdir()
    run(folder, "fit")
    batches = list(seen)
    seen.clear()
    return folder / "checkpoints", batches


def test_checkpoints_lie_in_the_middle_of_an_epoch(trained):
    checkpoints = {path.name: read(path) for path in (trained / "checkpoints").iterdir()}
    assert {name: c["global_step"] for name, c in checkpoints.items()} == {
        "epoch=1-step=5.ckpt": 5,
        "epoch=2-step=10.ckpt": 10,
        "last.ckpt": 12,
    }
    progress = checkpoints["epoch=1-step=5.ckpt"]["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
    assert progress["processed"] == 2  # of 7 batches: the first step of the second epoch


@pytest.mark.parametrize("step", ["epoch=1-step=5", "epoch=2-step=10"])
def test_resumed_from_a_checkpoint(whole, run, seen, tmp_path, step):
    checkpoints, batches = whole
    run(tmp_path, "fit", "--ckpt_path", str(checkpoints / f"{step}.ckpt"))
    done = next(k for k, (global_step, _, _) in enumerate(batches) if global_step == int(step.split("=")[-1]))
    assert seen == batches[done:]
    assert_same(tmp_path / "checkpoints" / "last.ckpt", checkpoints / "last.ckpt")


def test_interrupted_and_resumed_from_the_last_checkpoint(whole, run, seen, tmp_path, monkeypatch):
    checkpoints, batches = whole
    training_step = DiffusionModule.training_step

    def interrupted(self, batch, batch_idx):
        if self.global_step == 7:
            raise KeyboardInterrupt
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(DiffusionModule, "training_step", interrupted)
    with pytest.raises(SystemExit):
        run(tmp_path, "fit", "--ckpt_path", "last")  # there is none yet: starts from scratch
    assert seen == [batch for batch in batches if batch[0] < 7]
    seen.clear()
    monkeypatch.setattr(DiffusionModule, "training_step", training_step)
    run(tmp_path, "fit", "--ckpt_path", "last")
    assert seen == [batch for batch in batches if batch[0] >= 5]
    assert_same(tmp_path / "checkpoints" / "last.ckpt", checkpoints / "last.ckpt")
    assert_same(tmp_path / "checkpoints" / "epoch=2-step=10.ckpt", checkpoints / "epoch=2-step=10.ckpt")


@pytest.mark.parametrize("by", ["last", "file"])
def test_a_resumed_run_follows_the_rate_of_the_config(whole, run, tmp_path, by):
    checkpoints, _ = whole
    file = str(checkpoints / "epoch=1-step=5.ckpt")
    if by == "last":
        (tmp_path / "checkpoints").mkdir()
        shutil.copy(file, tmp_path / "checkpoints" / "last.ckpt")
    lr = read(file)["hyper_parameters"]["lr"] / 4
    run(tmp_path, "fit", "--ckpt_path", "last" if by == "last" else file, "--model.lr", str(lr))
    here = tmp_path / "checkpoints"
    assert read(here / "epoch=2-step=10.ckpt")["hyper_parameters"]["lr"] == lr
    (old, new) = (read(folder / "epoch=2-step=10.ckpt")["lr_schedulers"][0] for folder in (checkpoints, here))
    assert new["last_epoch"] == old["last_epoch"] == 10
    assert min(old["_last_lr"]) > 0
    for rates in ("base_lrs", "_last_lr"):
        assert [4 * rate for rate in new[rates]] == pytest.approx(old[rates])


def test_what_a_checkpoint_would_do_in_vain_or_in_the_place_of_another(whole, run, tmp_path, caplog, capsys):
    checkpoints, _ = whole
    middle = str(checkpoints / "epoch=1-step=5.ckpt")
    run(tmp_path, "fit", "--ckpt_path", middle, "--trainer.max_steps", "5")
    assert "the checkpoint has 5 steps, and max_steps is 5: nothing to do" in caplog.text
    before = read(checkpoints / "last.ckpt")["global_step"]
    for path, message in (
        (middle, "last.ckpt is the checkpoint of an earlier run"),
        (str(tmp_path), "got a folder; expected a .ckpt file"),
    ):
        with pytest.raises(SystemExit, match="2"):
            run(checkpoints.parent, "fit", "--ckpt_path", path, "--trainer.max_steps", "7")
        assert message in capsys.readouterr().err
    assert read(checkpoints / "last.ckpt")["global_step"] == before
    run(checkpoints.parent, "fit", "--ckpt_path", str(checkpoints / "last.ckpt"), "--trainer.max_steps", "14")
    assert max(read(path)["global_step"] for path in checkpoints.glob("last*.ckpt")) == 14


class Batches(pl.Callback):
    """Keeps step, number within the epoch and positions of each batch."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.seen.append((trainer.global_step, batch_idx, batch.pos))


@pytest.mark.parametrize("end", [{"max_epochs": 3}, {"max_steps": 9}])
def test_every_checkpoint_of_a_run_from_python_is_as_good(molecules, tmp_path, end):
    """In the middle and at the end of epochs, whether the end of the run is given in epochs or in steps."""

    def fit(checkpoint=None):
        torch.manual_seed(0)
        fields = {"pos": GaussianProcess(align_noise=False), "atom_types": CategoricalProcess()}
        network = partial(EquivariantGraphTransformer, width=8, pair_width=8, num_heads=1, num_blocks=1)
        module = DiffusionModule(network, fields, warmup_steps=2, decay_fraction=0.5)
        batches = Batches()
        saving = ModelCheckpoint(dirpath=tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
        trainer = pl.Trainer(
            accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
            callbacks=[batches, EMAWeightAveraging(decay=0.8)] + ([] if checkpoint else [saving]),
            enable_checkpointing=checkpoint is None, num_sanity_val_steps=0, **end,
        )  # fmt: skip
        trainer.fit(module, SDFDataModule(molecules, batch_size=16, limit=48), ckpt_path=checkpoint)
        return module, batches.seen

    whole, seen = fit()
    assert len(seen) == 9
    for step in (2, 3, 4, 6):
        resumed, rest = fit(tmp_path / f"step={step}.ckpt")
        assert [(a, b) for a, b, _ in rest] == [(a, b) for a, b, _ in seen[step:]]
        assert all(torch.equal(a, b) for (*_, a), (*_, b) in zip(rest, seen[step:], strict=True))
        assert differences(resumed.state_dict(), whole.state_dict()) == []


def test_finished_run_can_be_prolonged(run, tmp_path):
    """The last checkpoint of a finished run holds the trained weights too, not only their average."""
    folders = tmp_path / "at once", tmp_path / "prolonged"
    for folder, ends in zip(folders, ([9], [6, 9]), strict=True):
        folder.mkdir()
        for end in ends:
            run(folder, "fit", "--ckpt_path", "last", "--trainer.max_steps", str(end), "--model.decay_fraction", "0")
    assert_same(*(folder / "checkpoints" / "last.ckpt" for folder in folders))


def test_short_run_is_saved_with_its_own_weights(run, tmp_path):
    run(tmp_path, "fit", "--trainer.max_steps", "2")  # ends before the first checkpoint is due
    saved = read(tmp_path / "checkpoints" / "last.ckpt")
    assert saved["global_step"] == 2
    assert differences(saved["current_model_state"], saved["state_dict"])


def test_run_of_epochs_is_saved_at_its_end(run, tmp_path):
    run(tmp_path, "fit", "--trainer.max_steps", "-1", "--trainer.max_epochs", "2")
    assert read(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 8


def test_rate_of_both_parts_follows_the_schedule(trained):
    saved = read(trained / "checkpoints" / "epoch=2-step=10.ckpt")
    factor = (12 - 10) / (0.5 * 12)
    rates = [group["lr"] for part in saved["optimizer_states"][0]["parts"] for group in part["param_groups"]]
    assert rates == pytest.approx([2e-3 * factor, 1e-3 * factor])


def interrupt_at(monkeypatch, step, command):
    """Ctrl-C in the middle of the training step after so many."""
    training_step = DiffusionModule.training_step

    def interrupted(self, batch, batch_idx):
        if self.global_step == step:
            command()
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(DiffusionModule, "training_step", interrupted)
    return training_step


def test_ctrl_c_keeps_the_running_step(whole, run, seen, tmp_path, monkeypatch, capfd):
    checkpoints, batches = whole
    asked = []  # one Ctrl-C, in the first of the two batches of the step; passed on by another program, it comes twice
    handler = signal.getsignal(signal.SIGINT)
    press = lambda: asked or (asked.append(1), *map(signal.raise_signal, 2 * [signal.SIGINT]))  # noqa: E731
    training_step = interrupt_at(monkeypatch, 2, press)
    with pytest.raises(SystemExit, match="130"):
        run(tmp_path, "fit")
    assert signal.getsignal(signal.SIGINT) is handler
    last = Path("checkpoints") / "last.ckpt"
    assert f"3 steps are kept in {last}: --ckpt_path last" in capfd.readouterr().err.splitlines()[-1]
    assert read(tmp_path / last)["global_step"] == 3
    monkeypatch.setattr(DiffusionModule, "training_step", training_step)
    run(tmp_path, "fit", "--ckpt_path", "last")
    assert seen == batches
    assert_same(tmp_path / last, checkpoints / "last.ckpt")


@pytest.mark.parametrize("options", [[], ["--trainer.callbacks", "[]"]])
def test_what_ctrl_c_loses_is_told(run, tmp_path, monkeypatch, capfd, options):
    """The second one stops at once; without a checkpoint nothing can be kept."""
    monkeypatch.setattr("moldiff.training.interruption.TOGETHER", 0.0)
    interrupt_at(monkeypatch, 2, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit, match="130"):
        run(tmp_path, "fit", "--trainer.accumulate_grad_batches", "1" if options else "2", *options)
    assert "nothing is kept" in capfd.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


@pytest.mark.parametrize(
    ("option", "value", "found"),
    [("width", "32", r"got \S+ of shape \[.*16.*\]; expected \[.*32.*\]"), ("num_blocks", "3", "got no .*blocks.2"),
     ("num_blocks", "1", "got .*blocks.1.*does not have")],
)  # fmt: skip
def test_resumed_with_another_network(trained, run, tmp_path, capsys, option, value, found):
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    with pytest.raises(SystemExit, match="2"):
        run(tmp_path, "fit", "--ckpt_path", "last", f"--model.denoiser.init_args.{option}", value)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert re.match(f"moldiff fit: error: the weights in the checkpoint do not fit the model: {found}", line)
