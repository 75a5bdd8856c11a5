"""Latent diffusion from the config to molecules: resumed, exported, drawn again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from moldiff import MoleculeGenerator
from moldiff.cli import main
from moldiff.diffusion.model import read_model

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")

SIZES = {"width": 16, "pair_width": 8, "vector_channels": 4, "num_heads": 2, "num_blocks": 1}
ENCODER_STEPS = 3  # the encoder is fixed between the fourth step and the checkpoint before it


def small(value: object) -> object:
    """A config with all networks made small."""
    if isinstance(value, dict):
        value = {key: small(entry) for key, entry in value.items()}
        if value.get("class_path") == "EquivariantGraphTransformer":
            value["init_args"] = {**value["init_args"], **SIZES}
        return {**value, "encoder_steps": ENCODER_STEPS} if "encoder_steps" in value else value
    return [small(entry) for entry in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def fit(root: Path, molecules: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Trains for eight steps in a new folder, which is given back: checkpoints/step=4.ckpt and step=8.ckpt."""
    config = small(yaml.safe_load((root / "configs" / "qm9_latent.yaml").read_text(encoding="utf-8")))
    assert isinstance(config, dict)
    saved = {"dirpath": "checkpoints", "every_n_train_steps": 4, "save_top_k": -1, "filename": "{step}"}
    config["data"] = {
        "class_path": "SDFDataModule",
        "init_args": {"path": str(molecules), "batch_size": 8, "limit": 40},
    }
    callbacks = [c for c in config["trainer"]["callbacks"] if c["class_path"] == "EMAWeightAveraging"]
    config["trainer"] |= {
        "callbacks": [*callbacks, {"class_path": "ModelCheckpoint", "init_args": saved}],
        "precision": "32-true",
        "accelerator": "cpu",
        "max_steps": 8,
        "limit_val_batches": 1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "logger": False,
    }

    def run(*options: str) -> Path:
        folder = tmp_path_factory.mktemp("latent")
        (folder / "latent.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            main(["fit", "--config", "latent.yaml", *options])
        return folder / "checkpoints"

    return run


@pytest.fixture(scope="module")
def whole(fit: Callable[..., Path]) -> Path:
    return fit()


def test_resumed_run_is_the_uninterrupted_one(whole: Path, fit: Callable[..., Path]) -> None:
    resumed = fit("--ckpt_path", str(whole / "step=4.ckpt"))
    first, second = (torch.load(folder / "step=8.ckpt", weights_only=True) for folder in (whole, resumed))
    for states in ("state_dict", "current_model_state"):
        assert first[states].keys() == second[states].keys()
        for name, value in first[states].items():
            torch.testing.assert_close(second[states][name], value, rtol=1e-6, atol=1e-7, msg=name)


def test_encoder_stands_still_after_its_steps(whole: Path) -> None:
    early, late = (torch.load(whole / f"step={step}.ckpt", weights_only=True)["current_model_state"] for step in (4, 8))
    assert float(late["denoiser.autoencoder.encoder_age"]) == ENCODER_STEPS
    still = {name for name, value in early.items() if torch.equal(value, late[name])}
    encoder = {name for name in early if name.startswith("denoiser.autoencoder.encoder")}
    assert encoder
    assert encoder <= still
    assert any(name.startswith("denoiser.autoencoder.decoder") for name in set(early) - still)
    assert any(name.startswith("denoiser.denoiser") for name in set(early) - still)
    assert not any(name.startswith("process") for name in early), "the weights are kept once"


def test_exported_models_draw_the_same_molecules(whole: Path, tmp_path: Path) -> None:
    main(["export", "--checkpoint", str(whole / "step=8.ckpt"), "--out", str(tmp_path / "model")])
    drawn = [
        MoleculeGenerator.from_pretrained(path, "cpu", "float32").sample(5, seed=seed, num_steps=3, progress=False)
        for path, seed in ((whole / "step=8.ckpt", 1), (tmp_path / "model", 1), (tmp_path / "model", 2))
    ]
    for a, b in zip(drawn[0].arrays, drawn[1].arrays, strict=True):
        for name in ("atomic_numbers", "charges", "bond_orders", "positions"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert any(
        len(a) != len(b) or abs(a.positions - b.positions).max() > 0.1
        for a, b in zip(drawn[1].arrays, drawn[2].arrays, strict=True)
    )


def test_molecules_do_not_depend_on_their_company(whole: Path) -> None:
    generator = MoleculeGenerator.from_pretrained(whole / "step=8.ckpt", "cpu", "float32")
    few, many = (generator.sample(n, num_atoms=9, num_steps=3, progress=False).arrays for n in (2, 5))
    for a, b in zip(few, many[:2], strict=True):
        np.testing.assert_array_equal(a.atomic_numbers, b.atomic_numbers)
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-4)


def test_weights_are_those_of_the_config(whole: Path) -> None:
    model = read_model(whole / "step=8.ckpt")
    assert model.config["spec"]["denoiser"]["class_path"].endswith("LatentDenoiser")
    assert model.process.processes["atom_types"].num_channels == len(model.statistics.vocabulary.elements)
