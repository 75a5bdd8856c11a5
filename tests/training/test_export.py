"""From a checkpoint to a model folder and to molecules; files that are damaged, foreign or hostile."""

import os
import re
import shutil

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from moldiff import MoleculeGenerator
from moldiff.cli import main
from moldiff.diffusion.checkpoint import read_weights
from moldiff.diffusion.model import read_config, read_model
from moldiff.training.export import export_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    main(["export", "--checkpoint", str(checkpoint), "--out", str(folder)])
    return folder


@pytest.fixture
def folder(exported, tmp_path):
    """A copy of the model folder, to be damaged."""
    return shutil.copytree(exported, tmp_path / "copy")


def samples(model):
    return MoleculeGenerator.from_pretrained(model, "cpu", "float32").sample(6, seed=3, progress=False).arrays


def assert_same_molecules(first, second):
    for a, b in zip(first, second, strict=True):
        for name in ("atomic_numbers", "charges", "bond_orders", "positions"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_folder_holds_weights_config_and_card(exported):
    assert sorted(path.name for path in exported.iterdir()) == ["card.md", "config.yaml", "model.safetensors"]
    card = (exported / "card.md").read_text()
    assert "Trained for 12 steps (3 whole epochs) on" in card
    assert "100 molecules" in card
    assert "H, C, N, O, F" in card
    assert "averaged weights" in card


def test_checkpoint_folder_and_saved_folder_give_the_same_molecules(checkpoint, exported, tmp_path):
    expected = samples(checkpoint)
    assert_same_molecules(samples(exported), expected)
    MoleculeGenerator.from_pretrained(exported).save_pretrained(tmp_path / "again")
    assert_same_molecules(samples(tmp_path / "again"), expected)
    assert read_config(tmp_path / "again") == read_config(exported)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--data.init_args.batch_size", "100", "--trainer.max_steps", "3"], "3 steps (3 whole epochs)"),
        (["--trainer.max_steps", "5"], "5 steps (1 whole epoch)"),
        (["--trainer.max_steps", "3"], "3 steps (0 whole epochs)"),
        (["--trainer.max_steps", "-1", "--trainer.max_epochs", "2"], "8 steps (2 whole epochs)"),
    ],
)
def test_card_counts_whole_epochs(run, tmp_path, options, told):
    run(tmp_path, "fit", *options)
    export_checkpoint(tmp_path / "checkpoints" / "last.ckpt", tmp_path / "model")
    assert f"Trained for {told} on" in (tmp_path / "model" / "card.md").read_text()


def test_averaged_weights_are_taken(checkpoint, exported):
    saved = torch.load(checkpoint, weights_only=True)
    weights = load_file(exported / "model.safetensors")
    name = "node_in.weight"
    assert torch.equal(weights[name], saved["state_dict"][f"denoiser.{name}"])
    assert not torch.equal(weights[name], saved["current_model_state"][f"denoiser.{name}"])
    assert all(torch.equal(value, weights[key]) for key, value in read_weights(checkpoint).items())


def test_half_of_the_size(checkpoint, exported, tmp_path):
    export_checkpoint(checkpoint, tmp_path / "half", half=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "half", exported)]
    assert sizes[0] < 0.6 * sizes[1]
    whole = read_weights(exported)
    for name, value in MoleculeGenerator.from_pretrained(tmp_path / "half").model.denoiser.state_dict().items():
        assert value.dtype == whole[name].dtype
        torch.testing.assert_close(value, whole[name], rtol=5e-4, atol=1e-7)
    assert len(samples(tmp_path / "half")) == 6


def test_card_of_the_user_comes_first(checkpoint, tmp_path):
    (tmp_path / "text.md").write_text("# Mine\n\nFor fun.\n")
    export_checkpoint(checkpoint, tmp_path / "out", tmp_path / "text.md")
    assert (tmp_path / "out" / "card.md").read_text().startswith("# Mine\n\nFor fun.\n\n## Training run")


def test_nothing_is_replaced_and_nothing_half_done_is_left(checkpoint, exported, tmp_path):
    before = (exported / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(FileExistsError, match="exists"):
        export_checkpoint(checkpoint, exported)
    assert (exported / "model.safetensors").stat().st_mtime_ns == before
    (tmp_path / "out.partial").mkdir()  # of a run that was killed
    (tmp_path / "out.partial" / "rest").touch()
    export_checkpoint(checkpoint, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert not (tmp_path / "out" / "rest").exists()


@pytest.mark.parametrize("source", ["folder", "checkpoint"])
def test_training_can_start_from_a_model(source, exported, checkpoint, run, tmp_path):
    """At rate 0 the network stays what it was started from; the checkpoint can be read and exported."""
    model = exported if source == "folder" else checkpoint
    options = ("--trainer.max_steps", "1", "--model.lr", "0", "--model.seed", "5")
    run(tmp_path, "fit", "--model.init_from", str(model), *options)
    saved = tmp_path / "checkpoints" / "last.ckpt"
    assert all(torch.equal(value, read_weights(exported)[name]) for name, value in read_weights(saved).items())
    export_checkpoint(saved, tmp_path / "out")
    assert_same_molecules(samples(tmp_path / "out"), samples(exported))


def test_a_deeper_network_can_start_from_a_model(exported, run, tmp_path, caplog):
    """Further blocks change nothing at first: at rate 0 the molecules are the model's."""
    network = "--model.denoiser.init_args."
    deeper = (network + "num_blocks", "4")
    options = ("--trainer.max_steps", "1", "--model.lr", "0", "--model.seed", "5")
    with caplog.at_level("WARNING"):
        run(tmp_path, "fit", "--model.init_from", str(exported), *deeper, *options)
    assert "no weights for blocks.2, blocks.3: they begin without effect" in caplog.text
    export_checkpoint(tmp_path / "checkpoints" / "last.ckpt", tmp_path / "out")
    assert_same_molecules(samples(tmp_path / "out"), samples(exported))


def test_a_shallower_network_is_refused(exported, run, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, "fit", "--model.init_from", str(exported), "--model.denoiser.init_args.num_blocks", "1")
    assert stop.value.code == 2
    assert "of another network" in capsys.readouterr().err.splitlines()[-1]


def test_another_network_is_refused(exported, run, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, "fit", "--model.init_from", str(exported), "--model.denoiser.init_args.width", "32")
    assert stop.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "of another network" in message
    assert "expected (32" in message


def test_another_vocabulary_is_refused(checkpoint, folder, run, molecules, tmp_path, capsys):
    """Five elements as well, but others: the shapes alone would not tell."""
    text = molecules.read_text().replace(" F  ", " Cl ")
    (tmp_path / "chlorine.sdf").write_text(text)
    (tmp_path / "run").mkdir()
    for command, *options in (
        ("fit", "--model.init_from", str(folder)),
        ("fit", "--ckpt_path", str(checkpoint)),
        ("test", "--ckpt_path", str(checkpoint)),
    ):
        with pytest.raises(SystemExit) as stop:
            run(tmp_path / "run", command, "--data.init_args.path", str(tmp_path / "chlorine.sdf"), *options)
        assert stop.value.code == 2
        message = capsys.readouterr().err.splitlines()[-1]
        assert re.search(r"\bF\b", message)
        assert re.search(r"\bCl\b", message)


def write_config(folder, change):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    change(config)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def test_weights_and_config_that_do_not_fit(folder):
    write_config(folder, lambda c: c["spec"]["denoiser"]["init_args"].update(width=32))
    with pytest.raises(ValueError, match=r"of another network: \d+ differ, for example blocks.*expected \(32"):
        read_model(folder)


def test_weights_with_other_names(folder):
    weights = load_file(folder / "model.safetensors")
    weights["surplus"] = torch.zeros(2)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"1 differ, for example surplus: got \(2,\), expected none"):
        read_model(folder)


@pytest.mark.parametrize("keep", [0, 100, -10])
def test_weights_that_are_cut_off(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="cannot be read"):
        read_model(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c["spec"]["denoiser"]["init_args"].update(widht=3), "widht"),
        (lambda c: c["spec"]["denoiser"].update(class_path="EGN"), "EGN"),
        (lambda c: c["spec"]["denoiser"].update(class_path="subprocess.Popen", init_args={}), "no class of"),
        (lambda c: c["spec"].update(denoiser="os.system"), "no class of"),
        (lambda c: c["spec"].pop("processes"), "processes"),
        (lambda c: c["spec"].update(surplus=1), "surplus"),
        (lambda c: c.update(spec=None), "expected the keys spec and statistics"),
        (lambda c: c.pop("statistics"), "expected the keys spec and statistics"),
        (lambda c: c["statistics"].pop("sizes"), "statistics of the model .* are damaged .*sizes"),
        (lambda c: c.update(statistics={}), "statistics of the model .* are damaged"),
    ],
)  # fmt: skip
def test_damaged_config(folder, damage, message):
    write_config(folder, damage)
    with pytest.raises(ValueError, match=message):
        read_model(folder)


@pytest.mark.parametrize("text", ["spec: {a: [", "\0", "nothing", ""])
def test_config_that_is_none(folder, text):
    (folder / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml is no"):
        read_model(folder)


@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors"])
def test_missing_files(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        read_model(folder)


@pytest.mark.parametrize("keep", [0, 10, 20_000, -100])
def test_checkpoint_that_is_cut_off(checkpoint, tmp_path, keep):
    path = tmp_path / "cut.ckpt"
    path.write_bytes(checkpoint.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"cannot be read as a checkpoint of `moldiff fit`: it is cut off"):
        read_model(path)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("where", ["whole", "state_dict", "hyper_parameters"])
@pytest.mark.parametrize("use", ["sample", "export", "fit", "init_from"])
def test_code_in_a_checkpoint_is_not_executed(checkpoint, run, tmp_path, where, use, capsys):
    evil = Evil(f"touch {tmp_path / 'executed'}")
    saved = torch.load(checkpoint, weights_only=True)
    torch.save(evil if where == "whole" else {**saved, where: evil}, tmp_path / "evil.ckpt")
    path = str(tmp_path / "evil.ckpt")
    uses = {
        "sample": lambda: main(["sample", "--num_samples", "1", "--model", path, "--out", str(tmp_path / "x.sdf")]),
        "export": lambda: main(["export", "--checkpoint", path, "--out", str(tmp_path / "x")]),
        "fit": lambda: run(tmp_path, "fit", "--ckpt_path", path),
        "init_from": lambda: run(tmp_path, "fit", "--model.init_from", path),
    }
    with pytest.raises(SystemExit) as stop:
        uses[use]()
    assert stop.value.code == 2
    assert "not loaded since it could execute code" in capsys.readouterr().err
    assert not (tmp_path / "executed").exists()
    torch.load(path, weights_only=False)  # it would have
    assert (tmp_path / "executed").exists()


def test_other_checkpoints_are_refused(tmp_path):
    torch.save({"state_dict": {}, "epoch": 3}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"no checkpoint of `moldiff fit`: got \['epoch', 'state_dict'\]"):
        read_model(tmp_path / "other.ckpt")
    torch.save([1], tmp_path / "list.ckpt")
    with pytest.raises(ValueError, match="got list"):
        read_model(tmp_path / "list.ckpt")
