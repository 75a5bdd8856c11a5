"""Coordinates, losses and gradients that are no finite numbers."""

import math
from dataclasses import replace

import pytest
import pytorch_lightning as pl
import torch

from moldiff.data import MoleculeDataModule
from moldiff.data.datamodule import TableSplits
from moldiff.data.sdf import sdf_table
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")

FIELDS = ("pos", "atom_types", "charges", "bond_types")


class Tables(MoleculeDataModule):
    """24 molecules in batches of 4; with `bad`, the coordinates of one of them are spoilt."""

    def __init__(self, path, bad=None, value=math.nan):
        super().__init__(batch_size=4)
        self.path, self.bad, self.value = path, bad, value

    def load(self):
        table = sdf_table(self.path).subset(range(24))
        if self.bad is not None:
            pos = table.pos.clone()
            pos[table.ptr[self.bad], 0] = self.value
            table = replace(table, pos=pos)
        return TableSplits(table, table.subset([]), table.subset([]))

    @property
    def statistics(self):
        return Tables(self.path).statistics if self.bad is not None else super().statistics


class Gradients(pl.Callback):
    """Notes the steps in which there are gradients; can spoil the gradient or the weights of a step."""

    def __init__(self, spoil_at=None, what="grad"):
        self.spoil_at, self.what, self.steps = spoil_at, what, []

    def on_after_backward(self, trainer, pl_module):
        weight = pl_module.denoiser.node_out.weight
        if trainer.global_step == self.spoil_at:
            (weight.grad if self.what == "grad" else weight.data)[0, 0] = torch.nan

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        self.steps.append(any((p.grad != 0).any() for p in pl_module.denoiser.parameters() if p.grad is not None))


def network(vocabulary):
    torch.manual_seed(0)
    return EquivariantGraphTransformer(vocabulary, 16, 8, 4, 2, 2)


def fit(data, callback=None, epochs=1, align_noise=True, **options):
    processes = {"pos": GaussianProcess(align_noise=align_noise), **{name: CategoricalProcess() for name in FIELDS[1:]}}
    module = DiffusionModule(network, processes, warmup_steps=1, **options)
    settings = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_epochs=epochs,
        enable_checkpointing=False,
        callbacks=[callback] if callback else [],
        gradient_clip_val=1.0,
        **settings,
    )
    trainer.fit(module, data)
    assert all(weight.isfinite().all() for weight in module.denoiser.parameters())
    return trainer


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("align_noise", [False, True])
def test_bad_coordinates_stop_the_training_and_the_molecule_is_named(molecules, value, align_noise):
    """Molecules are numbered as in the file, from 1; the sixth one of the fixture is the formula in the message."""
    with pytest.raises(
        ValueError, match=r"^step \d: the coordinates of molecule 6 \(\w+\) are no finite numbers: take"
    ):
        fit(Tables(molecules, bad=5, value=value), align_noise=align_noise)


def test_the_formula_is_that_of_the_molecule(molecules):
    from rdkit import Chem
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    mol = Chem.SDMolSupplier(str(molecules), removeHs=False)[5]
    with pytest.raises(ValueError, match=rf"molecule 6 \({CalcMolFormula(mol)}\)"):
        fit(Tables(molecules, bad=5))


def test_bad_batches_are_skipped_if_asked_for(molecules, caplog):
    trainer = fit(Tables(molecules, bad=5), epochs=2, on_bad_batch="skip")
    assert trainer.global_step == 12
    found = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
    assert len(found) == 2  # once in each epoch
    assert all("molecule 6 " in message for message in found)


def test_a_skipped_batch_leaves_the_weights_as_they_are(molecules):
    """Without a first good batch there is no momentum either."""

    class Weights(pl.Callback):
        def on_train_start(self, trainer, pl_module):
            self.before = [weight.clone() for weight in pl_module.denoiser.parameters()]

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            for old, new in zip(self.before, pl_module.denoiser.parameters(), strict=True):
                torch.testing.assert_close(old, new, rtol=0, atol=0)

    class Bad(Tables):
        def load(self):
            table = super().load().train
            table = replace(table, pos=table.pos * math.nan)
            return TableSplits(table, table.subset([]), table.subset([]))

        @property
        def statistics(self):
            return Tables(self.path).statistics

    fit(Bad(molecules), Weights(), on_bad_batch="skip")


def test_bad_losses_name_the_field_and_the_molecules(molecules, monkeypatch):
    losses = DiffusionModule.losses

    def spoilt(self, clean, *rest):
        found, t = losses(self, clean, *rest)
        bad = torch.isin(clean.index, torch.tensor([3, 8]))
        return {**found, "charges": torch.where(bad, torch.nan, found["charges"])}, t

    monkeypatch.setattr(DiffusionModule, "losses", spoilt)
    with pytest.raises(
        ValueError, match=r"^step \d: the loss is no finite number for charges \(molecule (3|8) \(\w+\)"
    ):
        fit(Tables(molecules))


def test_bad_gradients_stop_the_training(molecules):
    with pytest.raises(ValueError, match=r"^step 3: the gradient is no finite number for node_out.weight, though"):
        fit(Tables(molecules), Gradients(spoil_at=3))


def test_bad_gradients_are_skipped_if_asked_for(molecules, caplog):
    watch = Gradients(spoil_at=3)
    assert fit(Tables(molecules), watch, on_bad_batch="skip").global_step == 6
    assert sum("step 3: the gradient" in record.getMessage() for record in caplog.records) == 1


def test_spoilt_weights_always_stop_the_training(molecules):
    with pytest.raises(
        ValueError, match=r"the weights are no finite numbers any more \(node_out.weight\): go on from an"
    ):
        fit(Tables(molecules), Gradients(spoil_at=3, what="data"), on_bad_batch="skip")


def test_it_does_not_go_on_for_ever(molecules, monkeypatch):
    losses = DiffusionModule.losses

    def spoilt(self, *rest):
        found, t = losses(self, *rest)
        return {name: loss * torch.nan for name, loss in found.items()}, t

    monkeypatch.setattr(DiffusionModule, "losses", spoilt)
    with pytest.raises(ValueError, match=r"^step 19: .*; so were the 19 batches before: check the data"):
        fit(Tables(molecules), epochs=9, on_bad_batch="skip")


def test_the_option_is_checked():
    with pytest.raises(ValueError, match="on_bad_batch must be stop or skip: got 'ignore'"):
        DiffusionModule(network, {"pos": GaussianProcess()}, on_bad_batch="ignore")
