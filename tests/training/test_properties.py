"""Training of models that are asked for properties, of the regressor that judges them, and the judgement."""

import dataclasses
import logging
from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from moldiff.data import QM9DataModule
from moldiff.data.table import MoleculeTable
from moldiff.diffusion import CategoricalProcess, GaussianProcess, StreamNoise
from moldiff.diffusion.checkpoint import read_weights
from moldiff.diffusion.model import read_model
from moldiff.diffusion.model_folder import write_model
from moldiff.diffusion.regressor import Regressor
from moldiff.diffusion.steering import Steering
from moldiff.generator import MoleculeGenerator
from moldiff.models import EquivariantGraphTransformer, PropertyRegressor
from moldiff.training import DiffusionModule, PropertyModule
from moldiff.training.export import export_checkpoint
from moldiff.training.target_scores import score_properties

pytestmark = [
    pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric"),
    pytest.mark.usefixtures("labelled_qm9"),
]
SMALL = {"width": 16, "pair_width": 8, "vector_channels": 4, "num_heads": 2, "num_blocks": 2}
FIELDS = ("atom_types", "charges", "bond_types")


def processes():
    return {"pos": GaussianProcess(), **{name: CategoricalProcess() for name in FIELDS}}


def module(properties=(), **options):
    torch.manual_seed(0)
    network = partial(EquivariantGraphTransformer, **SMALL, properties=list(properties))
    return DiffusionModule(network, processes(), num_steps=2, warmup_steps=1, **options)


def trainer(folder, steps, **options):
    defaults = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(default_root_dir=folder, max_steps=steps, num_sanity_val_steps=0, **{**defaults, **options})


def test_training_starts_from_a_model_without_properties(tmp_path, caplog):
    """Which weights are new is told; the others are the model's; at first the loss is the same."""
    data = QM9DataModule(batch_size=16)
    plain = module()
    plain.build(data.statistics)
    write_model(plain.model(), tmp_path / "plain", "")
    asked = module(["gap", "mu"], init_from=tmp_path / "plain", lr=0.0)
    with caplog.at_level(logging.WARNING):
        trainer(tmp_path, 1, limit_val_batches=0).fit(asked, data)
    assert (
        "has no weights for property_embedding, property_layers.0, property_layers.1: they begin without effect"
        in caplog.text
    )
    for name, value in read_weights(tmp_path / "plain").items():
        assert torch.equal(asked.denoiser.state_dict()[name], value)
    clean = next(iter(data.val_dataloader()))
    losses = [
        m.losses(clean, StreamNoise(torch.Generator().manual_seed(1)), True, None, shown)[0]
        for m, shown in ((plain, None), (asked, asked.properties_of(clean)))
    ]
    assert all(torch.equal(value, losses[1][name]) for name, value in losses[0].items())


def test_other_weights_must_all_be_there(tmp_path):
    """Neither a model of other properties, nor one that knows more, nor one that lacks anything else."""
    data = QM9DataModule(batch_size=16)
    other = module(["homo", "mu"])
    other.build(data.statistics)
    write_model(other.model(), tmp_path / "other", "")
    for properties in ([], ["gap", "mu"], ["homo", "mu", "gap"]):
        with pytest.raises(ValueError, match="of another network"):
            trainer(tmp_path, 1).fit(module(properties, init_from=tmp_path / "other"), data)


def test_only_known_properties_are_kept_with_the_model():
    data, asked = QM9DataModule(), module(["gap", "mu"])
    asked.build(data.statistics)
    assert list(asked.model().statistics.properties) == ["gap", "mu"]
    assert asked.model().statistics.properties["gap"] == data.statistics.properties["gap"]


def test_hiding_is_part_of_a_training_step(tmp_path, monkeypatch):
    """Without dropout every molecule is shown something, with 1.0 none is."""
    seen = []
    losses = DiffusionModule.losses

    def record(self, clean, noise, conditioned, pocket=None, properties=None):
        seen.append(properties)
        return losses(self, clean, noise, conditioned, pocket, properties)

    monkeypatch.setattr(DiffusionModule, "losses", record)
    for dropout in (0.0, 1.0):
        run = module(["gap", "mu"], property_dropout=dropout)
        trainer(tmp_path, 2, limit_val_batches=0).fit(run, QM9DataModule(batch_size=16))
    assert [value.isfinite().any(1).all().item() for value in seen] == [True, True, False, False]
    assert seen[2].isnan().all()


@pytest.fixture
def judge(tmp_path):
    torch.manual_seed(0)
    network = partial(PropertyRegressor, properties=["alpha", "mu"], **SMALL, num_bases=8)
    regressor = PropertyModule(network, lr=5e-3, warmup_steps=1)
    run = trainer(tmp_path, 40, limit_val_batches=0, gradient_clip_val=1.0)
    run.fit(regressor, QM9DataModule(batch_size=32, half="second"))
    run.save_checkpoint(tmp_path / "judge.ckpt")
    read = Regressor.read(tmp_path / "judge.ckpt")
    for name, value in regressor.network.state_dict().items():
        assert torch.equal(read.network.state_dict()[name], value)
    return read


def test_molecules_are_judged(judge):
    """The judge knows more of real molecules than nothing; the baselines are what the labels make them."""
    data = QM9DataModule(half="first")
    asked = module(["gap", "alpha"])
    asked.build(data.statistics)
    scores = score_properties(asked.model(), judge, data.train, data.test, 6, guidance_scale=2.0, num_steps=2)
    assert list(scores.model) == ["alpha"]  # what both know
    assert scores.units == {"alpha": "eV"}
    assert scores.regressor["alpha"] < data.statistics.properties["alpha"].std
    assert 0 <= scores.atoms_only["alpha"] < 0.3  # the rest of these numbers is the spread, which varies little
    assert scores.random["alpha"] > scores.atoms_only["alpha"]
    assert 0 <= scores.valid["alpha"] <= 1
    assert scores.unjudged == {"alpha": 0}
    assert "this model" in str(scores)
    with pytest.raises(ValueError, match="must share the properties: got mu; expected some of alpha"):
        score_properties(asked.model(), judge, data.train, data.test, 6, properties=["mu"])


def test_a_model_that_is_steered_by_its_own_regressor(judge, tmp_path):
    """It is exported with the model, read with it, predicts what is asked for, and brings molecules nearer to it."""
    data, run = QM9DataModule(half="first"), trainer(tmp_path, 1, limit_val_batches=0)
    run.fit(module(["alpha"]), data)
    run.save_checkpoint(tmp_path / "asked.ckpt")
    export_checkpoint(tmp_path / "asked.ckpt", tmp_path / "asked", regressor=tmp_path / "judge.ckpt")
    read = read_model(tmp_path / "asked")
    assert read.regressor is not None
    for name, value in judge.of_table(data.test).items():
        torch.testing.assert_close(read.regressor.of_table(data.test)[name], value, rtol=0, atol=0)
    generator = MoleculeGenerator(read, "asked", "cpu", "float32")
    options = {"num_atoms": 2, "seed": 1, "progress": False, "properties": {"alpha": [3.0, 9.0, 4.0, 6.0]}}
    drawn = generator.sample(4, **options)
    steered = generator.sample(4, **options, steering=Steering("properties", 4, 2))
    std = read.statistics.properties["alpha"].std
    for samples in (drawn, steered):
        table = MoleculeTable.from_arrays(list(samples.arrays), vocabulary=read.statistics.vocabulary)
        for value, note in zip(judge.of_table(table)["alpha"].tolist(), samples.notes, strict=True):
            assert float(note["moldiff_predicted_alpha"]) == pytest.approx(value, rel=1e-3)
    for note in steered.notes:
        gap = float(note["moldiff_predicted_alpha"]) - float(note["moldiff_target_alpha"])
        assert float(note["moldiff_reward"]) in (-torch.inf, pytest.approx(-abs(gap) / std, rel=1e-2))
    generator.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "regressor" / "model.safetensors").is_file()


def test_a_regressor_must_suit_the_model(judge, tmp_path):
    for name, properties in (("asked", ["gap"]), ("plain", [])):
        run = trainer(tmp_path, 1, limit_val_batches=0)
        run.fit(module(properties), QM9DataModule(batch_size=16))
        run.save_checkpoint(tmp_path / f"{name}.ckpt")
        with pytest.raises(ValueError, match="does not suit the model: got alpha, mu of molecules of H"):
            export_checkpoint(tmp_path / f"{name}.ckpt", tmp_path / name, regressor=tmp_path / "judge.ckpt")
        assert not (tmp_path / name).exists()


def test_foreign_classes_and_damage_in_the_folder_of_a_regressor(judge, tmp_path):
    asked = module(["alpha"])
    asked.build(QM9DataModule().statistics)
    write_model(dataclasses.replace(asked.model(), regressor=judge), tmp_path / "model", "")
    config = tmp_path / "model" / "regressor" / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("moldiff.models.property_regressor.PropertyRegressor", "os.system"))
    assert config.read_text() != text
    with pytest.raises(ValueError, match=r"names 'os\.system'"):
        read_model(tmp_path / "model")
    config.write_text(text.replace("num_blocks: 2", "num_blocks: 90000"))
    assert config.read_text() != text
    with pytest.raises(ValueError, match="network of more than"):
        read_model(tmp_path / "model")
    config.unlink()
    with pytest.raises(ValueError, match="holds no regressor"):
        read_model(tmp_path / "model")


def test_the_order_of_a_table_does_not_matter_to_the_judge(judge):
    table = QM9DataModule().test
    values = judge.of_table(table, batch_size=4)
    turned = judge.of_table(table.subset(range(len(table) - 1, -1, -1)), batch_size=7)
    for name, value in values.items():
        torch.testing.assert_close(value, turned[name].flip(0), atol=1e-3, rtol=1e-4)


def test_unknown_values_are_left_out_of_the_error(tmp_path):
    data = QM9DataModule(batch_size=16)
    data.setup()
    values = data.train.properties["alpha"].clone()
    values[::2] = torch.nan
    train = dataclasses.replace(data.train, properties={**data.train.properties, "alpha": values})
    data._splits = dataclasses.replace(data._splits, train=train)
    assert torch.isfinite(torch.tensor(data.statistics.properties["alpha"].mean))
    regressor = PropertyModule(partial(PropertyRegressor, properties=["alpha"], **SMALL), warmup_steps=1)
    trainer(tmp_path, 2).fit(regressor, data)
    assert all(torch.isfinite(p).all() for p in regressor.network.parameters())
    asked = module(["alpha"])
    asked.build(data.statistics)
    batch = data.train.batch([0, 1])
    assert asked.properties_of(batch).isfinite().flatten().tolist() == [False, True]


@pytest.mark.parametrize("what", ["alpha", "pos"])
def test_batches_that_are_no_finite_numbers_stop_the_regressor_or_are_skipped(tmp_path, what, caplog):
    """An infinite label is named with its property; nothing is learnt from such a batch."""
    data = QM9DataModule(batch_size=200)
    data.setup()
    train = data.train
    bad = int(train.index[3])
    values = train.pos.clone() if what == "pos" else train.properties["alpha"].clone()
    values[int(train.ptr[3]) if what == "pos" else 3] = torch.inf
    train = dataclasses.replace(train, **({"pos": values} if what == "pos" else {"properties": {"alpha": values}}))
    statistics = data.statistics
    data._splits = dataclasses.replace(data._splits, train=train)
    data._statistics = statistics

    def regressor(action):
        torch.manual_seed(0)
        network = partial(PropertyRegressor, properties=["alpha"], **SMALL)
        return PropertyModule(network, warmup_steps=1, on_bad_batch=action)

    with pytest.raises(ValueError, match=rf"step 0: the .*molecule {bad} \("):
        trainer(tmp_path, 1, limit_val_batches=0).fit(regressor("stop"), data)
    trained = regressor("skip")
    trainer(tmp_path, 2, limit_val_batches=0).fit(trained, data)
    assert "the batch is skipped" in caplog.text
    first = regressor("skip")
    first.build(statistics)
    for name, weight in trained.network.named_parameters():
        assert torch.equal(weight, first.network.get_parameter(name))


def test_a_model_is_no_judge(tmp_path):
    run, data = trainer(tmp_path, 1, limit_val_batches=0), QM9DataModule(batch_size=16)
    run.fit(module(), data)
    run.save_checkpoint(tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match=r"no regressor of properties: give a checkpoint of `moldiff fit-regressor`"):
        Regressor.read(tmp_path / "model.ckpt")
