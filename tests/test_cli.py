"""The command line: what users meet when all is well, and when it is not."""

import inspect
import json
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import moldiff
from moldiff import MoleculeGenerator, cli
from moldiff.chem.files import read_molecules
from moldiff.cli import main
from moldiff.data import qm9_sources
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.diffusion.model_folder import DEFAULT
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")


@pytest.fixture(scope="module")
def model(statistics, tmp_path_factory):
    """The folder of a tiny model with random weights."""
    torch.manual_seed(0)
    network = partial(EquivariantGraphTransformer, width=8, pair_width=8, vector_channels=2, num_heads=1, num_blocks=1)
    fields = {"pos": GaussianProcess(), **{f: CategoricalProcess() for f in ("atom_types", "charges", "bond_types")}}
    module = DiffusionModule(network, fields, num_steps=2)
    module.build(statistics)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    MoleculeGenerator(module.model(), "tiny", "cpu").save_pretrained(folder)
    return folder


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder with a cache of its own."""
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def config(root, work):
    """The config of a run of one second, as a dictionary; `write` it to fit.yaml."""
    config = yaml.safe_load((root / "tests" / "training" / "tiny.yaml").read_text())
    config["data"]["init_args"]["path"] = str(root / "tests" / "fixtures" / "qm9_200.sdf")
    config["trainer"]["max_steps"] = 1
    return config


def write(config):
    with open("fit.yaml", "w") as file:
        yaml.safe_dump(config, file)


def error_of(capsys, *arguments):
    """The message of a command that must fail with exit code 2, without what was logged before."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text[text.index("error: ") :]


def sample(model, *options, out="x.sdf"):
    main(["sample", "--model", str(model), "--device", "cpu", "--out", str(out), *map(str, options)])


# ---- all is well

COMMANDS = ("sample", "evaluate", "report", "export", "prepare-pocket", "fit", "validate", "test")


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_names_the_commands(arguments, capsys):
    main(arguments)
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("sample", ["--num_samples", "--num_steps", "--num_atoms", "--seed", "--overwrite", "--device", "--model"]),
        ("sample", ["--fix", "--anchors", "--pocket", "--reference_ligand", "--center"]),
        ("evaluate", ["--molecules", "--reference", "--out", "--pocket", "--reference_ligand", "--dock", "--fast"]),
        ("evaluate", ["--molecules", "--reference", "--out", "--metrics", "--bonds", "--workers"]),
        ("report", ["--molecules", "--reference", "--out", "--num_shown", "--metrics", "--bonds", "--overwrite"]),
        ("export", ["--checkpoint", "--out", "--card"]),
        ("prepare-pocket", ["--protein", "--ligand", "--residues", "--center", "--radius", "--out", "--id", "--split"]),
        ("sample", ["--properties", "--guidance_scale"]),
        (
            "evaluate-properties",
            ["--model", "--regressor", "--num_samples", "--guidance_scale", "--out", "--overwrite"],
        ),
        ("fit", ["--config", "--ckpt_path", "--model.init_from", "--trainer.max_steps", "--data"]),
        ("distill", ["--config", "--ckpt_path", "--model.teacher", "--model.num_steps", "--model.teacher_steps"]),
        ("validate", ["--config", "--ckpt_path"]),
        ("test", ["--config", "--ckpt_path"]),
    ],
)
def test_help_of_each_command(command, options, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: moldiff {command}" in text
    assert [option for option in options if option not in text] == []


def test_version(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"moldiff {moldiff.__version__}\n"


def test_help_does_not_wait_for_torch(environment):
    code = "import sys, moldiff.cli as c; c.main(['--help']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, timeout=60)


def test_sample_writes_all_molecules_in_order(model, work, capsys):
    sample(model, "--num_samples", 7, "--seed", 3, "--batch_size", 2, "--num_steps", 3)
    read = read_molecules("x.sdf")
    assert [mol.GetIntProp("moldiff_index") for mol in read] == list(range(7))
    assert {mol.GetIntProp("moldiff_num_steps") for mol in read} == {3}
    assert {mol.GetIntProp("moldiff_seed") for mol in read} == {3}
    valid = sum(mol.GetIntProp("moldiff_valid") for mol in read)
    assert capsys.readouterr().out == f"7 molecules written to x.sdf, {valid} of them valid (strict rule)\n"
    assert [path.name for path in work.iterdir()] == ["x.sdf"]


def test_sample_is_what_python_draws(model, work):
    """But that the command writes down what `--resume` must know."""
    sample(model, "--num_samples", 4, "--precision", "float32")
    drawn = MoleculeGenerator.from_pretrained(model, "cpu", "float32").sample(4, progress=False)
    drawn.to_sdf("y.sdf")
    with open("x.sdf") as first, open("y.sdf") as second:
        text, request = re.subn(r">  <moldiff_request>.*\n[0-9a-f]{12}\n\n", "", first.read())
        assert text == second.read()
        assert request == 4


def test_evaluate_reads_what_sample_wrote(model, work, capsys):
    sample(model, "--num_samples", 5)
    main(["evaluate", "--molecules", "x.sdf", "--out", "report.json"])
    assert "5" in capsys.readouterr().out
    with open("report.json") as file:
        assert json.load(file)["requested"] == 5
    message = error_of(capsys, "evaluate", "--molecules", "x.sdf", "--out", "report.json")
    assert "report.json exists" in message
    main(["evaluate", "--molecules", "x.sdf", "--out", "report.json", "--overwrite", "--metrics", "basic, strain"])
    with open("report.json") as file:
        values = json.load(file)
    assert "strain" in values
    assert "properties" not in values
    assert "got" in error_of(capsys, "evaluate", "--molecules", "x.sdf", "--metrics", "quality").lower()


def test_fit_is_quiet_about_what_users_cannot_change(config, capsys, recwarn, caplog):
    write(config)
    main(["fit", "--config", "fit.yaml"])
    said = [capsys.readouterr().err, caplog.text, *(str(warning.message) for warning in recwarn)]
    for noise in ("litlogger", "args parameter", "WeightAveraging", "transfer_batch_to_device", "LeafSpec"):
        assert not any(noise in text for text in said), noise
    main(["export", "--checkpoint", "checkpoints/last.ckpt", "--out", "own"])
    sample("own", "--num_samples", 2, "--num_steps", 2)


def test_configs_of_the_user_are_not_replaced(config):
    """The whole config is kept beside the logs of a training, and nowhere else."""
    write(config)
    own = Path("fit.yaml")
    own.write_text(before := f"# the user's own\n{own.read_text()}")
    main(["fit", "--config", "fit.yaml", "--trainer.logger", "false"])
    main(["test", "--config", "fit.yaml", "--ckpt_path", "checkpoints/last.ckpt", "--trainer.logger", "false"])
    assert own.read_text() == before
    logger = '{"class_path": "CSVLogger", "init_args": {"save_dir": "logs"}}'
    main(["fit", "--config", "fit.yaml", "--trainer.logger", logger, "--trainer.callbacks", "null"])
    assert len(list(Path("logs").rglob("fit.yaml"))) == 1
    assert own.read_text() == before


# ---- the user is told what to change


def test_unknown_commands(capsys):
    assert error_of(capsys, "smaple").startswith("error: unknown command 'smaple': expected one of sample,")
    assert "unknown command 'predict'" in error_of(capsys, "predict")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num_samples", 0], "num_samples must be at least 1: got 0"),
        (["--num_samples", "many"], "num_samples"),
        (["--num_steps", 0], "num_steps must be at least 1: got 0"),
        (["--num_atoms", -1], "num_atoms must be at least 1: got -1"),
        (["--batch_size", 0], "batch_size must be at least 1: got 0"),
        (["--seed", 2**70], "seed must be an integer of 64 bits"),
        (["--device", "gpu7"], "device 'gpu7' cannot be used"),
        (["--precision", "half"], "precision"),
        (["--model", "qm10"], "no model 'qm10': expected one of the bundled models"),
        (["--model", "."], "folder without config.yaml"),
        (["--out", "x.mol2"], "expected one of .sdf, .xyz"),
        (["--out", "missing/x.sdf"], "missing: no such folder"),
        (["--nmu_steps", 3], "nmu_steps"),
    ],
)
def test_impossible_samples(model, work, capsys, options, message):
    arguments = {"--model": model, "--num_samples": 2, "--out": "x.sdf"}
    arguments |= dict(zip(options[::2], options[1::2], strict=True))
    assert message in error_of(capsys, "sample", *(word for pair in arguments.items() for word in pair))
    assert list(work.iterdir()) == []


def test_required_options(capsys):
    twice = ("--molecules", "a.sdf", "--molecules=b.sdf")
    assert "--molecules is given 2 times; expected once" in error_of(capsys, "evaluate", *twice)
    assert "none.sdf: no such" in error_of(capsys, "evaluate", "--molecules", "none.sdf", "--pocket", "none.sdf")
    assert "num_samples, out" in error_of(capsys, "sample")
    assert "molecules" in error_of(capsys, "evaluate")
    assert "model.denoiser" in error_of(capsys, "fit")


def test_missing_files(work, capsys):
    for command in (
        ["evaluate", "--molecules", "none.sdf"],
        ["export", "--checkpoint", "none.ckpt", "--out", "x"],
        ["sample", "--model", "none.ckpt", "--num_samples", "1", "--out", "x.sdf"],
        ["fit", "--config", "none.yaml"],
    ):
        assert "none." in error_of(capsys, *command)
    assert list(work.iterdir()) == []


def test_missing_files_of_a_run(config, work, capsys):
    write(config)
    assert "none.ckpt" in error_of(capsys, "fit", "--config", "fit.yaml", "--ckpt_path", "none.ckpt")
    assert "none.ckpt" in error_of(capsys, "fit", "--config", "fit.yaml", "--model.init_from", "none.ckpt")
    assert "none.sdf" in error_of(capsys, "fit", "--config", "fit.yaml", "--data.path", "none.sdf")
    assert not (work / "checkpoints").exists()


def test_existing_files_are_kept(model, work, capsys):
    (work / "x.sdf").write_text("precious")
    assert "x.sdf exists" in error_of(capsys, "sample", "--model", model, "--num_samples", 1, "--out", "x.sdf")
    assert (work / "x.sdf").read_text() == "precious"
    sample(model, "--num_samples", 1, "--overwrite")
    assert len(read_molecules("x.sdf")) == 1


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ((), "modle"),
        (("model",), "decay_fractoin"),
        (("model", "denoiser", "init_args"), "widht"),
        (("model", "processes", "bond_types", "init_args"), "wieght"),
        (("data", "init_args"), "bath_size"),
        (("trainer",), "max_stpes"),
    ],
)
def test_misspelt_keys(config, capsys, place, key):
    node = config
    for name in place:
        node = node.setdefault(name, {})
    node[key] = 3
    write(config)
    assert key in error_of(capsys, "fit", "--config", "fit.yaml")


def test_misspelt_class(config, capsys):
    config["model"]["denoiser"]["class_path"] = "EquivariantGraphTransfromer"
    write(config)
    assert "EquivariantGraphTransfromer" in error_of(capsys, "fit", "--config", "fit.yaml")


def test_accelerator_that_is_not_there(config, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    write(config)
    assert "gpu" in error_of(capsys, "fit", "--config", "fit.yaml", "--trainer.accelerator", "gpu")


def test_qm9_without_its_package(config, capsys, monkeypatch):
    find_spec = qm9_sources.importlib.util.find_spec
    monkeypatch.setattr(
        qm9_sources.importlib.util, "find_spec", lambda n, *a: None if n == "qm9pack" else find_spec(n, *a)
    )
    write({**config, "data": {"class_path": "QM9DataModule"}})
    assert "pip install 'moldiff[qm9]'" in error_of(capsys, "fit", "--config", "fit.yaml")


def test_traceback_on_request(work, monkeypatch):
    monkeypatch.setenv("MOLDIFF_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError, match="none"):
        main(["evaluate", "--molecules", "none.sdf"])


def test_validation_needs_a_model(config, capsys):
    write(config)
    for command in ("validate", "test"):
        assert "--ckpt_path" in error_of(capsys, command, "--config", "fit.yaml")


def test_new_run_does_not_mix_with_an_older_one(config, work, capsys):
    write(config)
    main(["fit", "--config", "fit.yaml"])
    assert capsys.readouterr().out.endswith("last checkpoint: checkpoints/last.ckpt\n")
    before = (work / "checkpoints" / "last.ckpt").read_bytes()
    assert "--ckpt_path last" in error_of(capsys, "fit", "--config", "fit.yaml")
    assert (work / "checkpoints" / "last.ckpt").read_bytes() == before
    assert [path.name for path in (work / "checkpoints").iterdir()] == ["last.ckpt"]


# ---- sampling breaks off


def test_finished_batches_are_kept_when_sampling_fails(model, work, monkeypatch, capsys):
    stream = MoleculeGenerator.stream

    def failing(*arguments, **options):
        yield next(stream(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(MoleculeGenerator, "stream", failing)
    with pytest.raises(SystemExit) as stop:
        sample(model, "--num_samples", 10, "--batch_size", 4)
    assert stop.value.code == 130
    assert "interrupted" in capsys.readouterr().err
    assert [path.name for path in work.iterdir()] == ["x.partial.sdf"]
    kept = {mol.GetIntProp("moldiff_index") for mol in read_molecules("x.partial.sdf")}
    assert 1 <= len(kept) <= 4
    assert kept == set(next(stream(MoleculeGenerator.from_pretrained(model, "cpu"), 10, batch_size=4)).indices)


def test_finished_batches_are_kept_when_the_program_is_killed(model, work, environment, capsys):
    command = [
        "moldiff",
        "sample",
        "--model",
        str(model),
        "--device",
        "cpu",
        "--out",
        "x.sdf",
        "--num_samples",
        "1000000",
    ]
    process = subprocess.Popen([*command, "--batch_size", "50"], env=environment, stderr=subprocess.DEVNULL)
    partial_file = work / "x.partial.sdf"
    deadline = time.monotonic() + 60
    while not (partial_file.exists() and partial_file.stat().st_size > 100_000) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [path.name for path in work.iterdir()] == ["x.partial.sdf"]
    whole = partial_file.read_text()
    (work / "saved.sdf").write_text(whole[: whole.rindex("$$$$\n") + 5])
    assert len(read_molecules("saved.sdf")) >= 50
    message = error_of(capsys, *command[1:])
    assert "x.partial.sdf exists" in message
    assert partial_file.read_text() == whole
    sample(model, "--num_samples", 2, "--overwrite")
    assert len(read_molecules("x.sdf")) == 2
    assert not partial_file.exists()


def test_broken_weights_give_flagged_molecules(model, work, capsys):
    MoleculeGenerator.from_pretrained(model, "cpu").save_pretrained("broken")
    weights = load_file("broken/model.safetensors")
    save_file({name: torch.full_like(value, torch.nan) for name, value in weights.items()}, "broken/model.safetensors")
    sample("broken", "--num_samples", 5)
    assert "5 molecules written to x.sdf, 0 of them valid" in capsys.readouterr().out
    assert (work / "x.sdf").read_text().count(">  <moldiff_valid>") == 5
    main(["evaluate", "--molecules", "x.sdf", "--reference", "null", "--out", "report.json"])
    report = json.loads((work / "report.json").read_text())
    assert report["requested"] == 5
    assert report["strict"]["valid"]["count"] == 0


def test_the_command_and_python_have_one_default_model():
    """The command line names it again, since it is read without torch."""
    assert inspect.signature(cli.sample).parameters["model"].default == DEFAULT
