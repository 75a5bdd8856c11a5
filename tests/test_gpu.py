"""Laws on a GPU: it computes what the processor computes, and the processor never waits for it inside the loop.

Skipped where there is none: `pytest tests/test_gpu.py` on a machine that has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from moldiff import MoleculeGenerator
from moldiff.chem.arrays import MoleculeArrays
from moldiff.cli import main
from moldiff.data.statistics import Statistics
from moldiff.diffusion import CategoricalProcess, GaussianProcess, JointProcess, Sampler, StreamNoise
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.models import Context, Denoiser, Prediction
from moldiff.models.denoiser import FIELDS
from moldiff.testing import random_batch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
GPU = "cuda"


@pytest.fixture
def no_waiting() -> Iterator[Callable[[], None]]:
    """A switch: from its call on, whatever makes the processor wait for the GPU is an error."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def joint(statistics: Statistics) -> JointProcess:
    """As in the shipped configs."""
    return JointProcess({"pos": GaussianProcess(), **{n: CategoricalProcess() for n in FIELDS[1:]}}, statistics)


def _output(denoiser: Denoiser, device: str) -> Prediction:
    batch, previous = (random_batch(sizes=(6, 3, 9, 2), seed=k, relaxed=k > 0) for k in (0, 9))
    before = Prediction(*(getattr(previous, name).float().to(device) for name in FIELDS))
    t = torch.tensor([0.1, 0.3, 0.6, 0.9], device=device)
    out: Prediction = denoiser.to(device)(batch.replace(pos=batch.pos.float()).to(device), t, Context(before))
    return out


def test_same_outputs_and_gradients(denoiser: Denoiser) -> None:
    """Of each network, in float32."""
    found = []
    for device in ("cpu", GPU):
        denoiser.zero_grad()
        out = _output(denoiser, device)
        torch.autograd.backward([getattr(out, name).square().sum() for name in FIELDS])
        gradients = [p.grad.cpu() for p in denoiser.parameters() if p.grad is not None]
        found.append([*(getattr(out, name).detach().cpu() for name in FIELDS), *gradients])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-4 * max(1.0, float(ours.abs().max())))


def test_same_noise() -> None:
    drawn = []
    for device in ("cpu", GPU):
        noise = MoleculeNoise(3, torch.arange(4, device=device))
        drawn.append(noise.uniform(torch.empty(4, 7, 3, device=device)).cpu())
    assert torch.equal(*drawn)


def _drawn(name: str, device: str) -> tuple[MoleculeArrays, ...]:
    generator = MoleculeGenerator.from_pretrained(name, device=device, precision="float32")
    return generator.sample(16, seed=1, num_steps=8, num_atoms=17, progress=False).arrays


@pytest.mark.parametrize("name", ["qm9_distilled", "qm9"])
def test_same_molecules(name: str) -> None:
    """Rounding may tip single atoms, and with them a molecule: most are the same to a hundredth of an Å."""
    pairs = list(zip(_drawn(name, "cpu"), _drawn(name, GPU), strict=True))
    same = [a for a, b in pairs if np.array_equal(a.atomic_numbers, b.atomic_numbers)]
    near = [a for a, b in pairs if np.abs(a.positions - b.positions).max() < 0.01]
    assert len(same) >= 12
    assert len(near) >= 12


def test_bfloat16_molecules_are_as_sound() -> None:
    generator = MoleculeGenerator.from_pretrained("qm9_distilled", device=GPU, precision="bfloat16")
    drawn = generator.sample(200, seed=0, progress=False)
    assert sum(mol is not None for mol in drawn) >= 190


def test_sampling_does_not_wait(
    denoiser: Denoiser, sampler: Sampler, joint: JointProcess, no_waiting: Callable[[], None]
) -> None:
    """Nor any network in it."""
    mask = torch.ones(4, 9, dtype=torch.bool, device=GPU)
    denoiser.to(GPU).eval()
    joint.to(GPU)
    with torch.inference_mode():
        sampler(denoiser, joint, mask, 3, MoleculeNoise(0, torch.arange(4, device=GPU)))  # tables are made once
        noise = MoleculeNoise(1, torch.arange(4, device=GPU))
        torch.cuda.synchronize()
        no_waiting()
        sampler(denoiser, joint, mask, 3, noise)


def test_losses_agree(denoiser: Denoiser, joint: JointProcess) -> None:
    """Of the same noisy molecules."""
    clean = random_batch(sizes=(6, 3, 9, 2))
    clean = clean.replace(pos=clean.pos.float())
    t = torch.tensor([0.1, 0.3, 0.6, 0.9])
    noisy = joint.corrupt(clean, t, StreamNoise(torch.Generator().manual_seed(0)))
    values = []
    for device in ("cpu", GPU):
        there, at = noisy.to(device), t.to(device)
        out = denoiser.to(device)(there, at, Context())
        losses = joint.to(device).loss(out, clean.to(device), there, at)
        values.append(torch.stack([value.mean() for value in losses.values()]).detach().cpu())
    torch.testing.assert_close(*values, rtol=1e-3, atol=1e-4)


def test_training_goes_on_where_it_stopped(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`moldiff fit` with `accelerator: auto` takes the GPU; its model then draws on the processor."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(root / "tests")
    config = ["fit", "--config", str(root / "configs" / "debug.yaml"), "--trainer.accelerator", "gpu"]
    main([*config, "--trainer.max_steps", "50"])
    main([*config, "--trainer.max_steps", "100", "--ckpt_path", "last"])
    last = torch.load("runs/debug/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 100
    draw = ["sample", "--model", "runs/debug/checkpoints/last.ckpt", "--device", "cpu", "--num_samples", "4"]
    main([*draw, "--out", "drawn.sdf"])
    assert (tmp_path / "drawn.sdf").is_file()
