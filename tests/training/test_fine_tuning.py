"""Training that starts from a model which knows more elements and charges than occur in the data."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem

from moldiff.chem.vocabulary import Vocabulary
from moldiff.cli import main
from moldiff.data import ComplexDataModule, MixedDataModule, SDFDataModule
from moldiff.data.shard_datamodule import ShardDataModule
from moldiff.data.shards import write_shards
from moldiff.diffusion import GaussianProcess
from moldiff.diffusion.model import read_model
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule

FEW = ("--data.batch_size", "4", "--trainer.max_steps", "2", "--trainer.accelerator", "cpu")
LOGGED = ("--trainer.log_every_n_steps", "1", "--trainer.check_val_every_n_epoch", "1")
QUIET = ("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false")


@pytest.fixture
def neutral(molecules: Path, tmp_path: Path) -> Path:
    """Molecules of H, C and O without charges."""
    path = tmp_path / "neutral.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for mol in Chem.SDMolSupplier(str(molecules), removeHs=False):
            if all(atom.GetSymbol() in "HCO" and not atom.GetFormalCharge() for atom in mol.GetAtoms()):
                writer.write(mol)
    return path


def test_recoded_molecules_are_the_same(neutral: Path) -> None:
    data, plain = SDFDataModule(neutral), SDFDataModule(neutral)
    assert plain.vocabulary == Vocabulary(("H", "C", "O"), (0,))
    known = Vocabulary(("F", "O", "N", "C", "H"), (1, 0, -1))
    assert data.statistics.vocabulary == plain.vocabulary
    data.recode(known)
    assert data.vocabulary == data.statistics.vocabulary == data.val.vocabulary == data.test.vocabulary == known
    assert data.statistics.atom_types[::-1][:2] == plain.statistics.atom_types[:2]
    assert data.statistics.charges == (0.0, 1.0, 0.0)
    for k in range(len(data.train)):
        ours, its = data.train.molecule(k), plain.train.molecule(k)
        np.testing.assert_array_equal(ours.atomic_numbers, its.atomic_numbers)
        np.testing.assert_array_equal(ours.charges, its.charges)
        np.testing.assert_array_equal(ours.bond_orders, its.bond_orders)
    for lacking in (Vocabulary(("H", "C")), Vocabulary(("H", "C", "O"), (1,)), Vocabulary(("H", "C", "O"), (0,), (0,))):
        with pytest.raises(ValueError, match="expected one of"):
            data.recode(lacking)


def test_both_parts_of_mixed_data_are_recoded(neutral: Path) -> None:
    data = MixedDataModule(SDFDataModule(neutral), SDFDataModule(neutral))
    known = Vocabulary(("H", "C", "N", "O", "F"))
    data.recode(known)
    assert data.vocabulary == data.molecules.vocabulary == data.complexes.vocabulary == known


def test_files_of_shards_are_not_recoded(neutral: Path, tmp_path: Path) -> None:
    write_shards([SDFDataModule(neutral).train], tmp_path / "shards", shard_size=10)
    data = ShardDataModule(tmp_path / "shards", val_files=0, test_files=0)
    data.recode(data.vocabulary)
    with pytest.raises(ValueError, match="give write_shards molecules of it"):
        data.recode(Vocabulary(("H", "C", "N", "O", "F")))


@pytest.mark.parametrize("command", ["fit", "distill"])
def test_neutral_molecules_and_the_bundled_model(
    root: Path, neutral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The model goes on to know its own vocabulary; validation, and sampling with classes that never occur, work."""
    monkeypatch.chdir(tmp_path)
    name, start = {"fit": ("sdf", "--model.init_from"), "distill": ("qm9_fast", "--model.teacher")}[command]
    config = str(root / "configs" / f"{name}.yaml")
    data = ("--data", "SDFDataModule", "--data.path", str(neutral))
    main([command, "--config", config, *data, start, "qm9", *FEW, *LOGGED, *QUIET])
    path = Path("runs", name, "checkpoints", "last.ckpt")
    model = read_model(path)
    assert model.statistics.vocabulary == read_model(root / "moldiff" / "weights" / "qm9").statistics.vocabulary
    assert all(value.isfinite().all() for value in model.denoiser.state_dict().values())
    (log,) = Path("runs", name).glob("csv/version_0/metrics.csv")
    with log.open(newline="") as file:
        values = [float(value) for row in csv.DictReader(file) for value in row.values() if value]
    assert values
    assert torch.tensor(values).isfinite().all()
    main(["sample", "--model", str(path), "--num_samples", "4", "--num_steps", "4", "--out", "new.sdf"])
    drawn = list(Chem.SDMolSupplier("new.sdf", sanitize=False, removeHs=False))
    assert len(drawn) == 4
    assert all(np.isfinite(mol.GetConformer().GetPositions()).all() for mol in drawn)
    if command == "fit":  # a run goes on, and is judged, under the vocabulary of the model
        main(["validate", "--config", config, *data, "--ckpt_path", str(path), *FEW[:2], *FEW[4:], *QUIET])


def test_molecules_that_the_model_does_not_know(
    root: Path, neutral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    neutral.write_text(re.sub(" O  ", " S  ", neutral.read_text()))
    options = ("--config", str(root / "configs" / "sdf.yaml"), "--data.path", str(neutral), *FEW, *QUIET)
    with pytest.raises(SystemExit):
        main(["fit", *options, "--model.init_from", "qm9"])
    assert "leave out the molecules that it does not know, or start from a model that knows" in capsys.readouterr().err


def test_heavy_atoms_are_no_molecules_with_hydrogens() -> None:
    """Both vocabularies may fit; what is drawn would be read as radicals."""
    data = ComplexDataModule(Path(__file__).parents[1] / "fixtures" / "pockets", batch_size=1)
    module = DiffusionModule(EquivariantGraphTransformer, {"pos": GaussianProcess()}, init_from=Path("qm9"))
    with pytest.raises(ValueError, match="molecules of both must have their hydrogens, or of neither"):
        module._go_on_from(Path("qm9"), data)
