"""Distillation: molecules of a teacher with their noise, and a student that is trained on them."""

from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from moldiff.chem.arrays import to_mol
from moldiff.chem.files import read_molecules
from moldiff.cli import main
from moldiff.data.cache import cache_folder
from moldiff.diffusion import CategoricalProcess, EulerSampler, GaussianProcess, StreamNoise
from moldiff.diffusion.frame import centre
from moldiff.diffusion.generate import generate
from moldiff.diffusion.model import read_model
from moldiff.diffusion.model_folder import find_model
from moldiff.diffusion.precision import use_bfloat16
from moldiff.metrics.strict import strict_verdict
from moldiff.models import EquivariantGraphTransformer
from moldiff.models.denoiser import Prediction
from moldiff.training import Distillation, TeacherDataModule

pytestmark = [
    pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric"),
    pytest.mark.usefixtures("own_cache"),
]
ROOT = Path(__file__).resolve().parents[2]
FIELDS = ("atom_types", "charges", "bond_types")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def own_cache(monkeypatch, cache):
    """One folder for all these tests: the teacher's molecules are made once."""
    monkeypatch.setenv("MOLDIFF_CACHE", str(cache))


def fast():
    return use_bfloat16(torch.device("cpu"))


def data(**options):
    return TeacherDataModule("qm9", 24, num_steps=12, val_fraction=0.2, batch_size=8, **options)


def student(**options):
    torch.manual_seed(0)
    network = partial(EquivariantGraphTransformer, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=2)
    processes = {"pos": GaussianProcess(), **{name: CategoricalProcess() for name in FIELDS}}
    return Distillation(network, processes, EulerSampler(jump_rate=4.0), num_steps=4, **options)


def test_pairs_are_what_the_teacher_makes_of_the_noise():
    """Molecules, in the noise's frame, are those of `generate`; only valid ones are there, each once."""
    module = data()
    module.setup()
    teacher = read_model(find_model("qm9"))
    drawn = {
        i: m for b in generate(teacher, 24, 1, 12, bfloat16=fast()) for i, m in zip(b.indices, b.molecules, strict=True)
    }
    valid = {i for i, m in drawn.items() if strict_verdict(to_mol(m)).cause is None}
    index = [*module.val.index.tolist(), *module.train.index.tolist()]
    assert sorted(index) == sorted(valid)
    assert len(module.val) == int(0.2 * len(valid))
    for table in (module.train, module.val):
        for row, i in enumerate(table.index.tolist()):
            made = table.molecule(row)
            assert (made.atomic_numbers == drawn[i].atomic_numbers).all()
            assert (made.bond_orders == drawn[i].bond_orders).all()
            assert made.positions == pytest.approx(drawn[i].positions, abs=1e-5)
    assert module.statistics == teacher.statistics
    assert len(list(cache_folder().glob("drawn-*"))) == 1


def test_noise_is_that_of_the_molecule():
    """It is centred, of the prior's scale, nothing where padded, and nearer to its molecule than to others."""
    module = data()
    batch = module.train_dataloader().dataset.__getitems__(range(len(module.train)))
    assert (batch.noise * ~batch.mask[..., None]).abs().max() == 0
    assert batch.noise.sum(1).abs().max() < 1e-4
    assert batch.noise[batch.mask].std().item() == pytest.approx(1.72, rel=0.1)
    sizes = batch.mask.sum(1)
    first, other = next((a, b) for a in range(len(sizes)) for b in range(a) if sizes[a] == sizes[b])
    own = (batch.noise - batch.molecules.pos)[[first, other]].norm()
    crossed = (batch.noise[[first, other]] - batch.molecules.pos[[other, first]]).norm()
    assert own < crossed
    assert len(batch.to("cpu")) == len(batch)


def test_one_who_knows_the_molecules_makes_no_error():
    """The states of a student lie on the straight path from noise to molecule, whatever the step."""
    module, pairs = student(), data()
    module.build(pairs.statistics)
    batch = pairs.train_dataloader().dataset.__getitems__(range(4))
    clean, seen = centre(batch.molecules), []

    class Oracle(type(module.denoiser)):
        def forward(self, noisy, t, context=None):
            seen.append((noisy, t, context.previous))
            return Prediction(**{k: v if k == "pos" else 50 * v for k, v in vars(module.process.encode(clean)).items()})

    module.denoiser.__class__ = Oracle
    losses, number = module.pair_losses(batch, StreamNoise(torch.Generator().manual_seed(0)))
    assert sorted(number.tolist()) == [0, 1, 2, 3]
    assert all(value.abs().max() < 1e-4 for value in losses.values())
    for noisy, t, _ in seen:
        straight = (1 - t[:, None, None]) * clean.pos + t[:, None, None] * batch.noise
        assert torch.allclose(noisy.pos, straight, atol=1e-4)
    (_, before, none), (_, t, previous) = seen
    assert none is None
    assert (before[number > 0] > t[number > 0]).all()
    assert previous.pos[number == 0].abs().max() == 0
    assert torch.allclose(previous.pos[number > 0], clean.pos[number > 0])


def test_a_student_learns(tmp_path):
    """On few pairs, from random weights."""
    module = student(lr=5e-3, warmup_steps=1)
    trainer = pl.Trainer(
        default_root_dir=tmp_path, max_steps=60, limit_val_batches=1, num_sanity_val_steps=0, accelerator="cpu",
        logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    losses = []
    module.log_dict = lambda values, **_: losses.append(values["train/loss"].item())
    trainer.fit(module, data())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert trainer.logged_metrics["val/pos/step3"] >= 0


def test_command(tmp_path, monkeypatch, capsys):
    """From the config of the package to molecules."""
    monkeypatch.chdir(tmp_path)
    few = (
        "--trainer.max_steps=2",
        "--trainer.logger=false",
        "--trainer.limit_val_batches=1",
        "--trainer.callbacks=null",
    )
    options = ("--data.num_molecules=24", "--data.num_steps=12", "--data.batch_size=8", "--data.val_fraction=0.2")
    folder = (
        "--trainer.callbacks+=ModelCheckpoint",
        "--trainer.callbacks.dirpath=run",
        "--trainer.callbacks.save_last=true",
    )
    main(["distill", "--config", str(ROOT / "configs" / "qm9_fast.yaml"), *few, *folder, *options])
    main(["export", "--checkpoint", "run/last.ckpt", "--out", "student"])
    main(["sample", "--model", "student", "--num_samples", "2", "--out", "new.sdf"])
    assert read_model(tmp_path / "student").num_steps == 8
    assert len(list(read_molecules("new.sdf"))) == 2


def test_impossible_settings():
    with pytest.raises(ValueError, match="at least 2 molecules"):
        TeacherDataModule(num_molecules=1)
    with pytest.raises(FileNotFoundError, match="no model 'nobody'"):
        TeacherDataModule("nobody").setup()
