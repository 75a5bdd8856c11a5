"""Every config in configs/ trains for a few steps, on fixture data, and draws molecules from what it saved."""

import json
from pathlib import Path

import jsonargparse
import pytest
import torch
import yaml

import moldiff.models  # noqa: F401  # the classes that configs name by their short names
from moldiff.chem.files import read_molecules
from moldiff.cli import main
from moldiff.data.statistics import Statistics
from moldiff.diffusion import JointProcess, StreamNoise
from moldiff.diffusion.frame import centre
from moldiff.diffusion.model import SPEC_KEYS, ModelSpec
from moldiff.models import Prediction
from moldiff.testing import random_batch

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(path for path in (ROOT / "configs").glob("*.yaml") if path.stem != "qm9_regressor")
MOLECULES = ROOT / "tests" / "fixtures" / "qm9_200.sdf"
SHORT = ("--data", "SDFDataModule", "--data.path", str(MOLECULES), "--data.batch_size", "4", "--data.limit", "12")
FEW = ("--trainer.max_steps", "3", "--trainer.limit_val_batches", "1", "--trainer.accelerator", "cpu")
EACH_EPOCH = ("--trainer.check_val_every_n_epoch", "1", "--trainer.val_check_interval", "1.0")
LOGGED = ("--trainer.log_every_n_steps", "1", *EACH_EPOCH)
QUIET = ("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false")
SAVED = ("--trainer.callbacks+", "ModelCheckpoint", "--trainer.callbacks.dirpath", "saved")
SAVED_AT = ("--trainer.callbacks.every_n_train_steps", "3", "--trainer.callbacks.filename", "model")


def spec(config: Path) -> ModelSpec:
    """The model that a config describes."""
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))["model"]
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ModelSpec, None)
    values = parser.parse_object({name: settings[name] for name in SPEC_KEYS})
    return ModelSpec(**vars(parser.instantiate_classes(values)))


def test_all_configs_are_there() -> None:
    assert {path.stem for path in CONFIGS} >= {
        "qm9",
        "qm9_conditional",
        "qm9_distilled",
        "qm9_fast",
        "qm9_edm",
        "qm9_tfn",
        "pocket",
        "pocket_distilled",
        "debug",
    }


PLAIN = [config for config in CONFIGS if config.stem != "qm9_conditional" and "teacher" not in config.read_text()]


@pytest.mark.parametrize("config", PLAIN, ids=lambda path: path.stem)
def test_config_trains_and_samples(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    main(["fit", "--config", str(config), *SHORT, *FEW, *LOGGED, *QUIET, *SAVED, *SAVED_AT])
    state = torch.load("saved/model.ckpt", weights_only=True)
    assert state["global_step"] == 3
    (log,) = (tmp_path / "runs").glob("*/csv/version_0/metrics.csv")
    header, *rows = log.read_text().splitlines()
    assert len(rows) >= 3
    assert "train/loss" in header
    assert "val/loss" in header
    options = {"model": "saved/model.ckpt", "num_samples": 2, "num_steps": 2, "num_atoms": 5, "out": "new.sdf"}
    main(["sample", *(f"--{name}={value}" for name, value in options.items())])
    assert len(list(read_molecules(tmp_path / "new.sdf"))) == 2


@pytest.mark.usefixtures("labelled_qm9")
def test_models_of_properties_train_and_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the bundled weights, on one half of the data; the judge on the other."""
    monkeypatch.chdir(tmp_path)
    few = ("--data.batch_size", "4", "--data.limit", "12", *FEW, *LOGGED, *QUIET)
    configs = [str(ROOT / "configs" / f"qm9_{name}.yaml") for name in ("conditional", "regressor")]
    main(["fit", "--config", configs[0], "--data.half", "first", *few])
    main(["fit-regressor", "--config", configs[1], *few])
    model, judge = (f"runs/qm9_{name}/checkpoints/last.ckpt" for name in ("conditional", "regressor"))
    common = ("--model", model, "--num_steps", "2", "--guidance_scale", "2")
    main(
        ["sample", *common, "--num_samples", "2", "--properties.gap", "15", "--properties.mu=19.5", "--out", "new.sdf"]
    )
    assert [mol.GetDoubleProp("moldiff_target_mu") for mol in read_molecules("new.sdf")] == [19.5, 19.5]
    capsys.readouterr()
    options = ("--num_samples", "3", "--properties", "gap,Cv", "--out", "scores.json")
    main(["evaluate-properties", *common, "--regressor", judge, *options])
    scores = json.loads(Path("scores.json").read_text())
    assert set(scores["model"]) == {"gap", "Cv"}
    assert all(scores[row]["gap"] >= 0 for row in ("regressor", "model", "atoms_only", "random"))
    assert "this model" in capsys.readouterr().out


@pytest.mark.usefixtures("labelled_qm9")
@pytest.mark.parametrize(("name", "num_steps"), [("qm9_fast", "8"), ("qm9_distilled", "20")])
def test_the_bundled_model_is_distilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, num_steps: str
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--config", str(ROOT / "configs" / f"{name}.yaml"), "--model.teacher", "qm9"]
    main(["distill", *options, "--data.batch_size", "4", "--data.limit", "12", *FEW, *LOGGED, *QUIET])
    model = f"runs/{name}/checkpoints/last.ckpt"
    main(["sample", "--model", model, "--num_samples", "2", "--num_atoms", "9", "--out", "new.sdf"])
    assert [mol.GetProp("moldiff_num_steps") for mol in read_molecules("new.sdf")] == [num_steps] * 2


@pytest.mark.usefixtures("labelled_qm9")
def test_a_guided_model_of_properties_is_distilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The student reads properties, too, and goes on learning from them."""
    monkeypatch.chdir(tmp_path)
    few = ("--data.batch_size", "4", "--data.limit", "12", *FEW, *LOGGED, *QUIET)
    config, fast = (str(ROOT / "configs" / f"qm9_{name}.yaml") for name in ("conditional", "conditional_fast"))
    main(["fit", "--config", config, *few])
    main(["distill", "--config", fast, "--model.teacher", "runs/qm9_conditional/checkpoints/last.ckpt", *few])
    weights = [
        torch.load(f"runs/qm9_{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("conditional", "conditional_fast")
    ]
    layer = "denoiser.property_layers.0.weight"
    assert not torch.equal(weights[0][layer], weights[1][layer])
    draw = ("--num_samples", "1", "--num_atoms", "9", "--properties.gap", "15", "--out", "new.sdf")
    main(["sample", "--model", "runs/qm9_conditional_fast/checkpoints/last.ckpt", *draw])
    (mol,) = read_molecules("new.sdf")
    assert (mol.GetProp("moldiff_target_gap"), mol.GetProp("moldiff_num_steps")) == ("15", "8")


def test_debug_config_finds_its_data() -> None:
    settings = yaml.safe_load((ROOT / "configs" / "debug.yaml").read_text(encoding="utf-8"))
    assert ROOT / settings["data"]["init_args"]["path"] == MOLECULES


def test_edm_loss_is_that_of_edm(statistics: Statistics) -> None:
    """The mean of (eps - output)^2 over the 3 coordinates and 5 elements of all atoms of a molecule."""
    process = JointProcess(spec(ROOT / "configs" / "qm9_edm.yaml").processes, statistics)
    assert set(process.processes) == {"pos", "atom_types"}
    batch, t = random_batch(sizes=(6, 6)), torch.tensor([0.01, 0.7])
    clean = centre(batch.replace(pos=batch.pos.float(), charges=None, bond_types=None))
    noisy = process.corrupt(clean, t, StreamNoise(torch.Generator().manual_seed(0)))
    at = process.processes["pos"].schedule(t[:, None, None])
    one_hot = 0.25 * torch.nn.functional.one_hot(clean.atom_types, 5)
    eps = torch.cat([noisy.pos - at.alpha * clean.pos, noisy.atom_types - at.alpha * one_hot], -1) / at.sigma
    torch.testing.assert_close(eps[..., :3].sum(1), torch.zeros(2, 3), atol=1e-3, rtol=0)
    output = torch.randn(2, 6, 8)
    losses = process.loss(Prediction(output[..., :3], output[..., 3:]), clean, noisy, t)
    expected = (eps - output).square().mean((1, 2))
    torch.testing.assert_close(losses["pos"] + losses["atom_types"], expected, rtol=1e-3, atol=0)


def test_edm_network_is_that_of_edm(statistics: Statistics) -> None:
    torch.manual_seed(0)
    model = spec(ROOT / "configs" / "qm9_edm.yaml")
    network = model.denoiser(statistics.vocabulary)
    assert network.node_in.out_features == 256
    assert len(network.blocks) == 9
    assert not network.self_conditioning
    process, batch = JointProcess(model.processes, statistics), random_batch(sizes=(18, 18))
    clean, t = centre(batch.replace(pos=batch.pos.float())), torch.tensor([0.1, 0.9])
    noisy = process.corrupt(clean, t, StreamNoise(torch.Generator().manual_seed(0)))
    with torch.no_grad():
        losses = process.loss(network(noisy, t), clean, noisy, t)
    assert 0.8 < sum(losses.values()).mean() < 1.4, (
        "before training it should say nothing: its loss is the noise itself"
    )
    assert model.num_steps == 1000
