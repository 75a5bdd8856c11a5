"""What the package does not do: run code from files, talk to the network."""

import ast
import socket
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from moldiff import MoleculeGenerator
from moldiff.cli import main
from moldiff.diffusion import GaussianProcess
from moldiff.diffusion.class_names import check_classes
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule, DistillationModule

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "moldiff").rglob("*.py"))
NETWORK = {
    "socket",
    "ssl",
    "urllib",
    "http",
    "ftplib",
    "smtplib",
    "requests",
    "urllib3",
    "httpx",
    "aiohttp",
    "websocket",
}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}


pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_network_no_pickles_no_eval(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {n.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names}
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported & (NETWORK | PICKLES) == set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        settings = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert name not in ("eval", "exec", "__import__", "os.system", "yaml.load", "yaml.unsafe_load", "joblib.load")
        assert name != "torch.load" or settings["weights_only"] == "True"
        assert name not in ("np.load", "numpy.load") or settings["allow_pickle"] == "False"
        assert "shell" not in settings


def test_no_network_at_run_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command works where a socket cannot be opened."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"a connection was asked for: {arguments}")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path / "cache"))
    fixtures = ROOT / "tests" / "fixtures"
    complex_ = fixtures / "pockets" / "complexes" / "2ayw_ben"
    pocket, ligand = str(complex_ / "pocket.pdb"), str(complex_ / "ligand.sdf")
    main(["sample", "--num_samples", "2", "--num_steps", "2", "--num_atoms", "5", "--out", "x.sdf"])
    main(["evaluate", "--molecules", "x.sdf"])
    main(["evaluate", "--molecules", ligand, "--pocket", pocket, "--reference_ligand", ligand, "--fast"])
    main(["report", "--molecules", "x.sdf", "--out", "x.html"])
    main(["prepare-pocket", "--protein", pocket, "--ligand", ligand, "--out", "complexes"])
    config = str(ROOT / "tests" / "training" / "tiny.yaml")
    data = ["--data.init_args.path", str(fixtures / "qm9_200.sdf")]
    main(["fit", "--config", config, *data, "--trainer.max_steps", "1"])
    main(["export", "--checkpoint", "checkpoints/last.ckpt", "--out", "model"])
    main(["sample", "--model", "model", "--num_samples", "1", "--num_steps", "2", "--out", "y.sdf"])


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder that names a class of a module which leaves a trace when it is imported."""
    code = "import pathlib\npathlib.Path('imported').touch()\nfrom moldiff.diffusion import EulerSampler\n"
    (tmp_path / "foreign_module.py").write_text(f"{code}class Own(EulerSampler):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "foreign_module", raising=False)
    MoleculeGenerator.from_pretrained("qm9", "cpu").save_pretrained(tmp_path / "model")
    config = yaml.safe_load((tmp_path / "model" / "config.yaml").read_text())
    config["spec"]["sampler"] = {"class_path": "foreign_module.Own"}
    (tmp_path / "model" / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_foreign_classes_need_trust(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = [
        "sample",
        "--model",
        "model",
        "--num_samples",
        "1",
        "--num_steps",
        "1",
        "--num_atoms",
        "3",
        "--out",
        "x.sdf",
    ]
    with pytest.raises(SystemExit) as stop:
        main(draw)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "'foreign_module.Own'" in message
    assert "--trust_classes, or trust=True in Python" in message
    with pytest.raises(ValueError, match=r"foreign_module\.Own"):
        MoleculeGenerator.from_pretrained("model")
    assert not (foreign / "imported").exists()
    main([*draw, "--trust_classes"])
    assert (foreign / "imported").exists()
    assert (foreign / "x.sdf").exists()


def test_judging_a_model_of_foreign_classes_needs_trust(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With trust the model is read, and the next thing is missed."""
    judge = ["evaluate-properties", "--model", "model", "--regressor", "missing.ckpt"]
    for trust, error in (([], "'foreign_module.Own'"), (["--trust_classes"], "missing.ckpt")):
        with pytest.raises(SystemExit) as stop:
            main([*judge, *trust])
        assert stop.value.code == 2
        assert error in capsys.readouterr().err
    assert (foreign / "imported").exists()


def test_improving_by_a_model_of_foreign_classes_needs_trust(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With trust the model is read, and the next thing is missed."""
    improve = ["sample", "--optimize", "missing.sdf", "--objective", "qed", "--model", "model", "--out", "x.sdf"]
    for trust, error in (([], "'foreign_module.Own'"), (["--trust_classes"], "missing.sdf")):
        with pytest.raises(SystemExit) as stop:
            main([*improve, *trust])
        assert stop.value.code == 2
        assert error in capsys.readouterr().err


def test_a_teacher_of_foreign_classes_needs_trust(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiffusionModule, "configure_model", lambda module: None)
    for trust in (False, True):
        network = partial(EquivariantGraphTransformer, width=16, pair_width=8, num_blocks=1)
        student = DistillationModule(network, {"pos": GaussianProcess()}, foreign / "model", trust_classes=trust)
        student._trainer = SimpleNamespace()  # type: ignore[assignment]
        if trust:
            student.configure_model()
            assert type(student.teacher.sampler).__name__ == "Own"  # type: ignore[union-attr]
        else:
            with pytest.raises(ValueError, match=r"foreign_module\.Own.*--model\.trust_classes"):
                student.configure_model()


def test_short_names_stand_for_classes_of_ours_only(foreign: Path) -> None:
    """A class that somebody has imported could be meant by its short name."""
    import foreign_module  # type: ignore[import-not-found]  # made above

    config = yaml.safe_load((foreign / "model" / "config.yaml").read_text())
    config["spec"]["sampler"] = {"class_path": "Own"}
    (foreign / "model" / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ValueError, match=r"foreign_module\.Own"):
        MoleculeGenerator.from_pretrained("model", "cpu")
    trusted = MoleculeGenerator.from_pretrained("model", "cpu", trust=True)
    assert isinstance(trusted.model.sampler, foreign_module.Own)


def test_checkpoints_name_classes_of_ours_or_of_the_users_config(
    foreign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lightning builds the model from what a checkpoint says, so a run that goes on with one looks at it first."""
    config = str(ROOT / "tests" / "training" / "tiny.yaml")
    fit = ["fit", "--config", config, "--data.init_args.path", str(ROOT / "tests" / "fixtures" / "qm9_200.sdf")]
    main([*fit, "--trainer.max_steps", "5"])
    saved = torch.load("checkpoints/last.ckpt", weights_only=True)
    saved["hyper_parameters"]["sampler"] = {"class_path": "foreign_module.Own"}
    torch.save(saved, "foreign.ckpt")
    Path("checkpoints/last.ckpt").unlink()  # beside it, another checkpoint is not gone on with
    go_on = [*fit, "--trainer.max_steps", "6", "--ckpt_path", "foreign.ckpt"]
    with pytest.raises(SystemExit):
        main(go_on)
    assert "'foreign_module.Own', which is no class of" in capsys.readouterr().err
    assert not (foreign / "imported").exists()
    main([*go_on, "--model.sampler", "foreign_module.Own"])


def test_properties_have_the_names_of_somebody_s_data() -> None:
    names = ["log S", "pIC50 (nM)", "Std.Value", "a: b", "[x]", "K d"]
    network = {"class_path": "moldiff.models.EquivariantGraphTransformer", "init_args": {"properties": names}}
    check_classes({"denoiser": network, "irreps": "64x0e + 32x1o", "encoder_steps": 200_000}, "x")
    for spec in ({"name": "a b"}, {"name": "{class_path: x}"}, {"properties": {"class_path": "os.path"}}):
        with pytest.raises(ValueError, match="x"):
            check_classes(spec, "x")


@pytest.mark.parametrize(
    "path", [*(ROOT / "moldiff" / "weights").glob("*/config.yaml")], ids=lambda path: path.parent.name
)
def test_bundled_models_name_classes_of_ours(path: Path) -> None:
    check_classes(yaml.safe_load(path.read_text())["spec"], path)
