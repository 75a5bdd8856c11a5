"""Training in several processes, on Lightning's engine."""

import copy
import subprocess

import torch

from moldiff.training.command import TrainingCLI
from tests.training.test_resume import differences

OPTIONS = ["--data.init_args.limit", "96", "--trainer.max_steps", "7"]  # an epoch is 6 batches of 16


def test_two_processes_equal_one_with_batches_twice_as_large(run, molecules, root, environment, tmp_path):
    """A step of two processes is a step on the two batches one after the other: the same molecules, noise and rates."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    run(one, "fit", *OPTIONS, "--trainer.accumulate_grad_batches", "2")
    command = ["moldiff", "fit", "--config", root / "tests" / "training" / "tiny.yaml", *OPTIONS]
    command += ["--data.init_args.path", molecules, "--trainer.accumulate_grad_batches", "1"]
    command += ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.use_distributed_sampler", "false"]
    done = subprocess.run(
        list(map(str, command)), cwd=two, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sync_dist" not in done.stderr
    first, second = (torch.load(f / "checkpoints" / "last.ckpt", weights_only=True) for f in (one, two))
    for key in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        assert differences(first[key], second[key], key) == []
    header, *rows = ((two / "logs" / "metrics.csv").read_text().strip()).split("\n")
    assert len(rows) == 9  # 7 steps, 2 validations
    assert not any("nan" in row for row in rows)
    assert "val/pos/t0.0" in header


def test_averaged_weights_do_not_copy_the_data():
    """The module knows the command line that made it, which knows the trainer and its data."""
    cli = TrainingCLI.__new__(TrainingCLI)
    cli.trainer = object()
    assert copy.deepcopy({"denoiser": cli})["denoiser"] is cli
