"""Callbacks: scores of molecules drawn while training, molecules per second."""

import csv
import time

import pytest
import pytorch_lightning as pl
import torch

from moldiff.chem.arrays import to_mol
from moldiff.data import SDFDataModule
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.diffusion.generate import generate
from moldiff.metrics import evaluate
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule, SampleScores, Throughput, sample_scores

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")

NAMES = [
    "samples/edm_atom_stable",
    "samples/edm_molecule_stable",
    "samples/strict_valid",
    "samples/strict_valid_and_unique",
]


class Wide(EquivariantGraphTransformer):
    """Small; all the same for each run of a test."""

    def __init__(self, vocabulary):
        torch.manual_seed(0)
        super().__init__(vocabulary, 8, 8, 2, 1, 1)


@pytest.fixture
def module():
    fields = {"pos": GaussianProcess(align_noise=False), "atom_types": CategoricalProcess()}
    return DiffusionModule(Wide, fields, num_steps=2, warmup_steps=1)


@pytest.fixture
def data(molecules):
    return SDFDataModule(molecules, batch_size=8, limit=24)


class Values(pl.Callback):
    """Keeps what is logged at the end of each validation, and of each training batch."""

    def __init__(self):
        self.validations, self.steps = [], []

    def on_validation_end(self, trainer, pl_module):
        self.validations.append({k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("samples/")})

    def on_train_batch_end(self, trainer, pl_module, *_):
        if "molecules/s" in trainer.callback_metrics:
            self.steps.append((trainer.global_step, float(trainer.callback_metrics["molecules/s"])))


def fit(module, data, *callbacks, **options):
    defaults = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    defaults |= {"enable_checkpointing": False, "num_sanity_val_steps": 2}
    pl.Trainer(callbacks=list(callbacks), **{**defaults, **options}).fit(module, data)


def test_scores_are_those_of_the_averaged_model(module, data):
    """Whatever the order of the callbacks; not in the sanity check; after each second epoch only."""
    values = Values()
    averaging = pl.callbacks.EMAWeightAveraging(decay=0.5)
    fit(module, data, SampleScores(20, every_n_epochs=2), averaging, values, max_epochs=2)
    sanity, first, second = values.validations
    assert sanity == first == {}
    assert sorted(second) == NAMES
    model = module.model()  # at the end of the training the module holds the averaged weights
    drawn = [to_mol(arrays) for batch in generate(model, 20) for arrays in batch.molecules]
    report = evaluate(drawn, reference=None)
    assert second["samples/edm_atom_stable"] == pytest.approx(report.edm.atom_stable.value)
    assert second["samples/strict_valid"] == pytest.approx(report.strict.valid.value)


def test_scores_do_not_change_the_training(module, data, monkeypatch):
    fit(module, data, max_epochs=2)
    drawn = []
    draw = sample_scores.generate
    monkeypatch.setattr(sample_scores, "generate", lambda *args, **kwargs: drawn.append(1) or draw(*args, **kwargs))
    other = DiffusionModule(Wide, module.processes, num_steps=2, warmup_steps=1)
    fit(other, data, SampleScores(3), max_epochs=2)
    assert len(drawn) == 2  # one for each epoch, none for the sanity check
    for name, value in module.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_scores_are_in_the_log(module, data, tmp_path):
    logger = pl.loggers.CSVLogger(tmp_path, name="", version="")
    fit(module, data, SampleScores(3, num_steps=1), max_epochs=1, logger=logger, log_every_n_steps=1)
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(any(row[name] for row in rows) for name in NAMES)


@pytest.mark.parametrize("options", [{"num_samples": 0}, {"every_n_epochs": 0}])
def test_impossible_settings(options):
    with pytest.raises(ValueError, match="num_samples and every_n_epochs must be at least 1"):
        SampleScores(**options)
    with pytest.raises(ValueError, match="every_n_steps must be at least 1: got 0"):
        Throughput(0)


def test_throughput_counts_molecules_over_epochs(module, data, monkeypatch):
    """Three batches an epoch, a report after each two: also where an epoch is shorter than the time between reports."""
    clock = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))  # one second from one look to the next
    values = Values()
    fit(module, data, Throughput(2), values, max_epochs=2, limit_val_batches=0)
    reports = dict(values.steps)
    assert sorted(reports) == [2, 3, 4, 5, 6]
    assert reports[2] == reports[4] == reports[6] == 16.0


def test_throughput_leaves_out_validation(module, data, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    training_step, validation_step = DiffusionModule.training_step, DiffusionModule.validation_step

    def slow(step, seconds):
        def run(self, batch, batch_idx):
            now[0] += seconds
            return step(self, batch, batch_idx)

        return run

    monkeypatch.setattr(DiffusionModule, "training_step", slow(training_step, 1))
    monkeypatch.setattr(DiffusionModule, "validation_step", slow(validation_step, 100))
    values = Values()
    fit(module, data, Throughput(2), values, max_epochs=4)
    assert {rate for _, rate in values.steps} == {8.0}
