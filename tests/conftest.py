"""What all tests share: one thread per process, run-time checks of shapes and types, a reader's working folder."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Before torch is imported: the tests run in several processes, and threads of one would wait for those of the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# Annotations are checked whenever a function is called; as for mypy, an int may stand where a float is asked for.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
install_import_hook(["moldiff.nn", "moldiff.diffusion"], CHECKER)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository; not to be written to."""
    return ROOT


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader of the README has it: the configs, and the files that the module's earlier tests wrote."""
    folder = tmp_path_factory.mktemp("workspace")
    if (ROOT / "configs").is_dir():
        shutil.copytree(ROOT / "configs", folder / "configs")
    return folder


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Variables for a subprocess that finds the commands `python` and `moldiff` of the running interpreter."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
