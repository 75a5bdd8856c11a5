"""Unrolled training: states to which the model's own sampler leads."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from moldiff.data import SDFDataModule
from moldiff.diffusion import CategoricalProcess, EulerSampler, GaussianProcess, PowerGrid, StreamNoise
from moldiff.diffusion.frame import centre
from moldiff.models import EquivariantGraphTransformer
from moldiff.models.denoiser import Prediction
from moldiff.training import DiffusionModule

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")
NETWORK = partial(EquivariantGraphTransformer, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=2)
FIELDS = ("atom_types", "charges", "bond_types")
STEPS = 8


def module(**options):
    torch.manual_seed(0)
    processes = {"pos": GaussianProcess(), **{name: CategoricalProcess() for name in FIELDS}}
    sampler = EulerSampler(PowerGrid(3.0, 0.02), jump_rate=8.0)
    return DiffusionModule(NETWORK, processes, sampler, **{"num_steps": STEPS, "warmup_steps": 1, **options})


@pytest.fixture
def data(molecules):
    return SDFDataModule(molecules, batch_size=16, limit=32)


def test_one_who_knows_the_molecules_makes_no_error(data):
    """States lie on the grid's times, one after another, below t = 0.35; each call sees the estimate of the last."""
    trained = module()
    trained.build(data.statistics)
    clean, seen = centre(next(iter(data.val_dataloader()))), []
    known = trained.process.encode(clean)

    class Oracle(type(trained.denoiser)):
        def forward(self, noisy, t, context=None):
            seen.append((noisy, t, context.previous))
            return Prediction(**{name: v if name == "pos" else 50 * v for name, v in known.present().items()})

    trained.denoiser.__class__ = Oracle
    grid = trained.sampler.grid(STEPS)
    lengths, ends = set(), set()
    for seed in range(60):
        seen.clear()
        losses = trained.unrolled_losses(clean, StreamNoise(torch.Generator().manual_seed(seed)))
        assert all(value.abs().max() < 1e-4 for value in losses.values())
        times = [float(t[0]) for _, t, _ in seen]
        first = int((grid - times[0]).abs().argmin())
        assert times == pytest.approx(grid[first : first + len(times)].tolist())
        assert times[0] <= 0.35
        assert seen[0][2] is None
        assert all(torch.equal(previous.pos, known.pos) for _, _, previous in seen[1:])
        for noisy, t, _ in seen:  # as far from the molecule as noise of this time is
            error = ((noisy.pos - clean.pos) / t[:, None, None])[clean.mask]
            assert 0.5 < error.std() < 3
        lengths.add(len(times) - 1)
        ends.add(first + len(times) - 1)
    assert lengths == {1, 2, 3}
    assert max(ends) == STEPS - 1


def test_share_of_the_steps(data, tmp_path, monkeypatch):
    counts = []
    own = DiffusionModule.unrolled_losses
    monkeypatch.setattr(DiffusionModule, "unrolled_losses", lambda *a: counts.append(1) or own(*a))
    trainer = pl.Trainer(
        default_root_dir=tmp_path, max_steps=20, limit_val_batches=0, accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module(unrolled=0.4), data)
    assert 6 <= len(counts) <= 10


def test_impossible_settings(data):
    with pytest.raises(ValueError, match=r"unrolled must lie in \[0, 1\]"):
        module(unrolled=1.5)
    trained = module(num_steps=2)
    trained.build(data.statistics)
    with pytest.raises(ValueError, match=r"needs 2 steps at t <= 0\.35: got num_steps = 2"):
        trained.unrolled_losses(centre(next(iter(data.val_dataloader()))), StreamNoise())
