"""The wheel holds all that is needed at run time; the version is one; importing is light; dependencies are pinned."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import moldiff


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources, so that nothing is left in the repository."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    shutil.copytree(root / "moldiff", source / "moldiff", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source],
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_wheel_holds_every_file_of_the_package(root: Path, wheel: Path) -> None:
    files = {path.relative_to(root).as_posix() for path in (root / "moldiff").rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == files
    models, parts = (
        ("qm9", "qm9_distilled", "qm9_fast", "qm9_conditional", "pocket"),
        ("model.safetensors", "config.yaml", "card.md"),
    )
    weights = {f"moldiff/weights/{model}/{name}" for model in models for name in parts}
    assert shipped >= {"moldiff/py.typed", *weights}
    assert any(name.startswith("moldiff/metrics/reference/") for name in shipped)


def test_installed_wheel_samples_and_scores(wheel: Path, tmp_path: Path) -> None:
    """Unpacked alone in a folder, away from the repository, the package finds its weights and its reference."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = """if True:
        import moldiff
        assert moldiff.__file__.startswith(__import__("sys").argv[1]), moldiff.__file__
        result = moldiff.MoleculeGenerator.from_pretrained("qm9").sample(2, seed=0, num_steps=2)
        assert len(result.mols) == 2
        result.report()
    """
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, cwd=tmp_path, timeout=300)


def test_wheel_says_how_to_run_it(wheel: Path, metadata: Message) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        assert "moldiff = moldiff.cli:main" in archive.read(name).decode()
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"


def test_one_version(root: Path, metadata: Message) -> None:
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d[^]]*)\] - (\S+)$", changes, re.MULTILINE)
    assert metadata["Version"] == moldiff.__version__ == citation["version"] == releases[0][0]
    assert str(citation["date-released"]) == releases[0][1]


@pytest.mark.parametrize(
    ("module", "unwanted"), [("moldiff", {"torch", "rdkit", "numpy"}), ("moldiff.metrics", {"torch"})]
)
def test_imports_are_light(module: str, unwanted: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert unwanted.isdisjoint(loaded)


def test_public_names_are_there() -> None:
    assert {"MoleculeGenerator", "evaluate"} <= set(dir(moldiff))
    assert moldiff.MoleculeGenerator.__name__ == "MoleculeGenerator"
    assert callable(moldiff.evaluate)
    with pytest.raises(AttributeError, match=r"no attribute 'sampel'.*public names"):
        _ = moldiff.sampel


def test_dependencies_are_bounded_and_pinned(root: Path) -> None:
    """Each has a bound, with its reason in a comment, and a pin within the bound."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (root / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    pinned = {canonicalize_name(name): version for name, version in pins}
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    for requirement in map(Requirement, project["dependencies"] + extras):
        if requirement.name != "moldiff":
            assert requirement.specifier, f"{requirement} has no bound"
            assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement
    unexplained = [line for line in project["dependencies"] if not re.search(rf'"{re.escape(line)}", *# \w', text)]
    assert unexplained == []
