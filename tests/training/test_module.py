"""The training module: what it logs, what it learns, and its use from Python without a config."""

import csv
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from rdkit import Chem
from rdkit.Chem.AllChem import EmbedMolecule

from moldiff import MoleculeGenerator
from moldiff.data import SDFDataModule
from moldiff.diffusion import CategoricalProcess, EulerSampler, GaussianProcess, GeometricGrid, StreamNoise, UniformGrid
from moldiff.models import EGNN, EquivariantGraphTransformer
from moldiff.training import DiffusionModule
from moldiff.training.export import export_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")

FIELDS = ("pos", "atom_types", "charges", "bond_types")
BINS = ("t0.0", "t0.2", "t0.4", "t0.6", "t0.8")
NETWORK = partial(EquivariantGraphTransformer, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=2)


def processes():
    return {"pos": GaussianProcess(), **{name: CategoricalProcess() for name in FIELDS[1:]}}


def trainer(folder, **options):
    defaults = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(default_root_dir=folder, num_sanity_val_steps=0, **{**defaults, **options})


class Losses(pl.Callback):
    """Keeps the loss of each step."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.values.append(float(outputs["loss"]))


@pytest.fixture
def data(molecules):
    return SDFDataModule(molecules, batch_size=16, limit=32)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return DiffusionModule(NETWORK, processes(), num_steps=4, warmup_steps=1)


def logged(folder):
    """Last value of each column of a CSV log."""
    with open(folder / "logs" / "metrics.csv", newline="") as file:
        return {name: float(value) for row in csv.DictReader(file) for name, value in row.items() if value}


def test_losses_are_logged_per_time_bin(trained):
    values = logged(trained)
    for field in FIELDS:
        assert f"train/{field}" in values
        for time in BINS:
            assert values[f"val/{field}/{time}"] > 0
    assert values["val/loss"] == pytest.approx(sum(values[f"val/{field}"] for field in FIELDS), rel=1e-5)
    assert values["train/loss"] == pytest.approx(sum(values[f"train/{field}"] for field in FIELDS), rel=1e-5)
    assert 0 < values["val/bond_types/marginals"] < 1.4  # ln 4


@pytest.mark.parametrize(("command", "split"), [("validate", "val"), ("test", "test")])
def test_checkpoints_can_be_validated_and_tested(trained, run, tmp_path, command, split):
    """At the same weights and noise the validation loss is that of the end of an epoch."""
    run(tmp_path, command, "--ckpt_path", str(trained / "checkpoints" / "last.ckpt"))
    values = logged(tmp_path)
    assert values[f"{split}/loss"] == pytest.approx(sum(values[f"{split}/{field}"] for field in FIELDS), rel=1e-5)
    assert f"{split}/bond_types/marginals" in values
    again = tmp_path / "again"
    again.mkdir()
    run(again, command, "--ckpt_path", str(trained / "checkpoints" / "last.ckpt"))
    assert logged(again) == values
    run(again, command, "--ckpt_path", str(trained / "checkpoints" / "epoch=1-step=5.ckpt"))
    assert logged(again) != values


def test_the_bound_is_logged_outside_of_fit(trained, run, tmp_path):
    """In nats per molecule, field by field; `fit` has no time for it, and with no times it is left out."""
    assert not any("nll" in name for name in logged(trained))
    last = ("--ckpt_path", str(trained / "checkpoints" / "last.ckpt"))
    run(tmp_path, "validate", *last)
    values = logged(tmp_path)
    shares = [values[f"val/nll/{name}"] for name in (*FIELDS, "num_atoms")]
    assert values["val/nll"] == pytest.approx(sum(shares), rel=1e-5)
    assert min(shares[1:]) > 0
    assert 0 < values["val/nll/standard_error"] < abs(values["val/nll"])
    off = tmp_path / "off"
    off.mkdir()
    run(off, "validate", *last, "--likelihood.num_times", "0")
    assert {name: value for name, value in values.items() if "nll" not in name} == logged(off)


def test_parts_of_a_step_have_noise_of_their_own(module, data, monkeypatch):
    """Accumulated batches, and other processes, must not see the same noise; a single one sees that of its step."""
    drawn = []
    times = DiffusionModule.times

    def record(self, count, noise):
        drawn.append((self.global_step, noise.generator.initial_seed()))
        return times(self, count, noise)

    monkeypatch.setattr(DiffusionModule, "times", record)
    trainer(None, max_steps=2, accumulate_grad_batches=2, limit_val_batches=0).fit(module, data)
    assert drawn == [(0, 0), (0, 2**40), (1, 1), (1, 1 + 2**40)]


def test_times_are_spread_evenly_or_towards_the_data(module, data):
    module.build(data.statistics)
    torch.manual_seed(0)
    module.data_focus = 0.0
    even = module.times(1000, StreamNoise())
    assert torch.equal((even.sort().values * 1000).long(), torch.arange(1000))  # one in each thousandth
    rank = torch.arange(1000.0)
    assert abs(torch.corrcoef(torch.stack([rank, even]))[0, 1]) < 0.15  # rows are sorted by size: times must not be
    module.data_focus = 1.0
    focused = module.times(1000, StreamNoise())
    assert focused.mean() == pytest.approx(1 / 3, abs=0.01)  # the mean of Beta(1, 2)
    assert 0 < min(even.min(), focused.min()) <= max(even.max(), focused.max()) < 1


def test_decay_needs_an_end(data, tmp_path):
    module = DiffusionModule(NETWORK, processes(), decay_fraction=0.5)
    with pytest.raises(ValueError, match="decay_fraction needs a known end"):
        trainer(tmp_path, max_epochs=-1).fit(module, data)


def test_loaders_alone_are_not_enough(module, data, tmp_path):
    with pytest.raises(ValueError, match="MoleculeDataModule as `datamodule`, or call `build"):
        trainer(tmp_path, max_steps=1).fit(module, data.train_dataloader())
    module.build(data.statistics)
    trainer(tmp_path, max_steps=1).fit(module, data.train_dataloader())
    with pytest.raises(ValueError, match="there is no network yet"):
        DiffusionModule(NETWORK, processes()).model()


def test_overfits_one_molecule(tmp_path):
    """A tiny network learns methane by heart, and then draws nothing else."""
    mol = Chem.AddHs(Chem.MolFromSmiles("C"))
    EmbedMolecule(mol, randomSeed=1)
    with Chem.SDWriter(str(tmp_path / "methane.sdf")) as writer:
        for _ in range(400):
            writer.write(mol)
    data = SDFDataModule(tmp_path / "methane.sdf", batch_size=8, val_fraction=0.0, test_fraction=0.0)
    torch.manual_seed(0)
    module = DiffusionModule(NETWORK, processes(), num_steps=20, lr=1e-2, warmup_steps=10, decay_fraction=0.5)
    losses = Losses()
    trainer(tmp_path, max_steps=200, gradient_clip_val=1.0, callbacks=[losses]).fit(module, data)
    assert np.mean(losses.values[-20:]) < 0.15 * np.mean(losses.values[:5])
    samples = MoleculeGenerator(module.model(), "methane", "cpu", "float32").sample(20, progress=False)
    drawn = [m for m in samples.mols if m is not None and Chem.MolToSmiles(Chem.RemoveHs(m)) == "C"]
    assert len(drawn) >= 15
    for molecule in drawn:
        carbon, *hydrogens = sorted(molecule.GetAtoms(), key=lambda atom: -atom.GetAtomicNum())
        distances = Chem.Get3DDistanceMatrix(molecule)[carbon.GetIdx(), [atom.GetIdx() for atom in hydrogens]]
        assert distances == pytest.approx(1.09, abs=0.25)


def test_by_hand_from_fit_to_molecules(module, data, tmp_path):
    """What is made from classes and partials in Python is written as a config, so that its checkpoints can be read."""
    run = trainer(tmp_path, max_steps=3, limit_val_batches=0)
    run.fit(module, data)
    run.save_checkpoint(tmp_path / "hand.ckpt")
    expected = MoleculeGenerator(module.model(), "hand", "cpu", "float32").sample(3, progress=False)
    export_checkpoint(tmp_path / "hand.ckpt", tmp_path / "folder")
    MoleculeGenerator(module.model(), "hand").save_pretrained(tmp_path / "saved")
    for path in ("hand.ckpt", "folder", "saved"):
        again = MoleculeGenerator.from_pretrained(tmp_path / path, "cpu", "float32").sample(3, progress=False)
        for a, b in zip(expected.arrays, again.arrays, strict=True):
            assert (a.positions == b.positions).all()
    loaded = DiffusionModule.load_from_checkpoint(tmp_path / "hand.ckpt")
    for name, value in module.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert loaded.warmup_steps == 1


def test_nested_objects_are_written_with_all_their_arguments(data, tmp_path):
    own = {
        "pos": GaussianProcess(scale=1.5, parameterisation="v"),
        "atom_types": CategoricalProcess("uniform", weight=2),
    }
    sampler = EulerSampler(GeometricGrid(0.02), jump_rate=3.0)
    module = DiffusionModule(NETWORK, own, sampler, num_steps=7)
    run = trainer(tmp_path, max_steps=1, limit_val_batches=0)
    run.fit(module, data)
    run.save_checkpoint(tmp_path / "hand.ckpt")
    model = MoleculeGenerator.from_pretrained(tmp_path / "hand.ckpt").model
    assert model.num_steps == 7
    assert model.sampler.options == sampler.options
    assert model.sampler.grid.last == 0.02
    assert set(model.process.processes) == {"pos", "atom_types"}
    assert model.process.processes["pos"].scale == 1.5
    assert model.process.processes["pos"].parameterisation == "v"
    assert model.process.processes["atom_types"].kind == "uniform"
    assert model.process.processes["atom_types"].weight == 2


def test_what_cannot_be_written_is_trained_but_not_read(data, tmp_path):
    module = DiffusionModule(lambda vocabulary: NETWORK(vocabulary), processes(), EulerSampler(UniformGrid()))
    run = trainer(tmp_path, max_steps=1, limit_val_batches=0)
    run.fit(module, data)
    assert len(MoleculeGenerator(module.model(), "hand").sample(2, num_steps=2, progress=False)) == 2
    run.save_checkpoint(tmp_path / "hand.ckpt")
    with pytest.raises(ValueError, match=r"holds the Python object moldiff\.diffusion\.\w+\.\w+, which is not loaded"):
        MoleculeGenerator.from_pretrained(tmp_path / "hand.ckpt")
    with pytest.raises(ValueError, match=r"cannot be written as a config.*functools\.partial"):
        MoleculeGenerator(module.model(), "hand").save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_network_that_reads_its_estimate_must_see_one_in_training(data):
    """Samplers always show one, so molecules would be drawn by a network that knows nothing of it."""
    with pytest.raises(ValueError, match="got self_conditioning = 0"):
        DiffusionModule(NETWORK, processes(), self_conditioning=0.0).build(data.statistics)
    blind = DiffusionModule(partial(NETWORK, self_conditioning=False), processes(), self_conditioning=0.0)
    blind.build(data.statistics)
    assert not blind.denoiser.self_conditioning


@pytest.mark.parametrize("name", ["self_conditioning", "data_focus", "pocket_dropout", "property_dropout"])
@pytest.mark.parametrize("share", [-0.1, 10.0, np.nan])
def test_shares_lie_between_0_and_1(name, share):
    with pytest.raises(ValueError, match=f"are shares, from 0 to 1: got .*{share}"):
        DiffusionModule(NETWORK, processes(), **{name: share})


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_networks_that_do_not_bear_bfloat16_warn_of_it(data, tmp_path, recwarn, precision):
    """EGNN's squared distances go through its matrix products; what draws molecules runs it in float32, too."""
    run = trainer(tmp_path, max_steps=1, limit_val_batches=0, precision=precision)
    run.fit(DiffusionModule(partial(EGNN, width=8, num_layers=1), processes()), data)
    warned = any("matrix products of this EGNN, and bf16-mixed rounds them" in str(w.message) for w in recwarn)
    assert warned is (precision == "bf16-mixed")
