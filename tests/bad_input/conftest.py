"""Two tiny models with random weights, one of which takes pockets, and a checkpoint as `moldiff fit` writes it."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from moldiff.data import Statistics
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.diffusion.model_folder import write_model
from moldiff.models import EquivariantGraphTransformer, PocketEncoder
from moldiff.training import DiffusionModule


@pytest.fixture(scope="session")
def models(statistics: Statistics, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what stands ready for the commands: model, pocket_model, model.ckpt, fit.yaml."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    tiny = {"width": 8, "pair_width": 8, "vector_channels": 2, "num_heads": 1, "num_blocks": 1}
    fields = {"pos": GaussianProcess(), **{f: CategoricalProcess() for f in ("atom_types", "charges", "bond_types")}}
    network = partial(EquivariantGraphTransformer, **tiny)
    module = DiffusionModule(network, fields, num_steps=2)
    module.build(statistics)
    model = module.model()
    write_model(model, folder / "model", "# model\n")
    config = {"class_path": "moldiff.models.PocketEncoder", "init_args": {"width": 8}}
    spec = {**model.config["spec"], "denoiser": {**model.config["spec"]["denoiser"]}}
    spec["denoiser"]["init_args"] = {**tiny, "pocket_encoder": config}
    seeing = network(statistics.vocabulary, pocket_encoder=PocketEncoder(width=8))
    write_model(replace(model, denoiser=seeing, config={**model.config, "spec": spec}), folder / "pocket_model", "#\n")
    config = yaml.safe_load((folder / "model" / "config.yaml").read_text())
    weights = load_file(folder / "model" / "model.safetensors")
    saved = {
        "state_dict": {f"denoiser.{name}": value for name, value in weights.items()},
        "hyper_parameters": {**config["spec"], "lr": 1e-3},
        "statistics": config["statistics"],
        "epoch": 1,
        "global_step": 10,
        "pytorch-lightning_version": "2.6.6",
    }
    torch.save(saved, folder / "model.ckpt")
    run = yaml.safe_load((root / "tests" / "training" / "tiny.yaml").read_text())
    run["data"]["init_args"]["path"] = str(root / "tests" / "fixtures" / "qm9_200.sdf")
    (folder / "fit.yaml").write_text(yaml.safe_dump(run))
    return folder
