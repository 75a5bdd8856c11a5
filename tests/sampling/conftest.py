"""`sample(...)`: the command with a tiny model, in an empty folder; and what interrupts it."""

from functools import partial
from pathlib import Path

import pytest
import torch

from moldiff import MoleculeGenerator
from moldiff.cli import main
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule

VARIABLES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "TORCHELASTIC_RUN_ID",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURM_STEP_ID",
)


@pytest.fixture(scope="module")
def model(statistics, tmp_path_factory):
    torch.manual_seed(0)
    network = partial(EquivariantGraphTransformer, width=8, pair_width=8, vector_channels=2, num_heads=1, num_blocks=1)
    fields = {"pos": GaussianProcess(), **{f: CategoricalProcess() for f in ("atom_types", "charges", "bond_types")}}
    module = DiffusionModule(network, fields, num_steps=2)
    module.build(statistics)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    MoleculeGenerator(module.model(), "tiny", "cpu").save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """An empty working folder, and no variables of torchrun or srun."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sample(model):
    def sample(*options, out="x.sdf", num_samples=20):
        main(["sample", "--model", str(model), "--device", "cpu", "--out", out, "--num_samples", str(num_samples),
              "--batch_size", "3", *map(str, options)])  # fmt: skip

    return sample


@pytest.fixture(params=[".sdf", ".xyz"])
def whole(request, sample):
    """The bytes of a file of an uninterrupted run, and the ending of its name."""
    sample(out=f"whole{request.param}")
    return Path(f"whole{request.param}").read_bytes(), request.param


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def cut_off_stream(monkeypatch, batches):
    """Let each run draw a few batches only; returns the list of the indices that come."""
    stream, drawn = MoleculeGenerator.stream, []

    def failing(self, *arguments, **options):
        for k, batch in enumerate(stream(self, *arguments, **options)):
            if k == self._allowed:
                raise KeyboardInterrupt
            drawn.extend(batch.indices)
            yield batch

    monkeypatch.setattr(MoleculeGenerator, "_allowed", batches, raising=False)
    monkeypatch.setattr(MoleculeGenerator, "stream", failing)
    return drawn


def as_rank(monkeypatch, number, total):
    """What torchrun sets."""
    values = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": total, "TORCHELASTIC_RUN_ID": 1}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
