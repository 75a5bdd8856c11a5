"""What all tests share: one thread per process, run-time checks of shapes and types, a reader's working folder."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

# Before torch is imported: the tests run in several processes, and threads of one would wait for those of the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# Annotations are checked whenever a function is called; as for mypy, an int may stand where a float is asked for.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
install_import_hook(["moldiff.nn", "moldiff.diffusion"], CHECKER)

from moldiff.chem.vocabulary import Vocabulary  # noqa: E402  # after the hook
from moldiff.data.sdf import sdf_table  # noqa: E402
from moldiff.data.splits import random_split  # noqa: E402
from moldiff.data.statistics import Statistics  # noqa: E402
from moldiff.data.table import MoleculeTable  # noqa: E402
from moldiff.diffusion import (  # noqa: E402
    AncestralSampler,
    CategoricalProcess,
    CosineSchedule,
    EulerSampler,
    GaussianProcess,
    HeunSampler,
    LinearSchedule,
    MultistepSampler,
    NoiseSchedule,
    OneHotGaussianProcess,
    PolynomialSchedule,
    Process,
    Sampler,
    UniformGrid,
)
from moldiff.models import EGNN, Denoiser, EquivariantGraphTransformer, TensorFieldNetwork  # noqa: E402

if TYPE_CHECKING:
    from selenium import webdriver

ROOT = Path(__file__).resolve().parents[1]
SIX = ("gap", "homo", "lumo", "alpha", "mu", "Cv")

# Every implementation of an abstraction stands in its list, and so obeys its laws: see the fixtures below.
ALL_SCHEDULES: dict[str, Callable[[], NoiseSchedule]] = {
    "linear": LinearSchedule,
    "cosine": CosineSchedule,
    "polynomial": PolynomialSchedule,
    "polynomial cubic": lambda: PolynomialSchedule(power=3.0, precision=1e-4),
}
ALL_PROCESSES: dict[str, tuple[str, Callable[[NoiseSchedule | None], Process]]] = {  # with the field that each is for
    "gaussian x0": ("pos", lambda s: GaussianProcess(s, "x0", "v", align_noise=False)),
    "gaussian eps": ("pos", lambda s: GaussianProcess(s, "eps", "eps", 0.0, scale=1.0, align_noise=False)),
    "gaussian v": ("pos", lambda s: GaussianProcess(s, "v", "x0", weight=0.5, align_noise=False)),
    "gaussian aligned": ("pos", lambda s: GaussianProcess(s, align_noise=True)),
    "gaussian features": (
        "atom_types",
        lambda s: GaussianProcess(s, scale=1.0, align_noise=False, centre=False),
    ),
    "one-hot": ("atom_types", lambda s: OneHotGaussianProcess(s or LinearSchedule())),
    "marginal": ("atom_types", lambda s: CategoricalProcess("marginal", s)),
    "uniform": ("charges", lambda s: CategoricalProcess("uniform", s, weight=0.2)),
    "absorbing": ("bond_types", lambda s: CategoricalProcess("absorbing", s)),
}
ALL_DENOISERS: dict[str, Callable[[Vocabulary], Denoiser]] = {
    "graph transformer": lambda v: EquivariantGraphTransformer(v, 16, 8, 4, 2, 2, 2, 8),
    "graph transformer, no conditioning": lambda v: EquivariantGraphTransformer(
        v, 16, 8, 4, 2, 1, 2, 8, self_conditioning=False
    ),
    "graph transformer, properties": lambda v: EquivariantGraphTransformer(
        v, 16, 8, 4, 2, 2, 2, 8, properties=("gap", "mu")
    ),
    "egnn": lambda v: EGNN(v, 12, 2),
    "egnn, conditioned": lambda v: EGNN(v, 12, 2, self_conditioning=True, num_bases=8),
    "tensor field": lambda v: TensorFieldNetwork(v, "8x0e+4x1o+2x2e", "4x0e+2x1o+1x2e", 2, 8, 8),
}
ALL_SAMPLERS: dict[str, Callable[[], Sampler]] = {
    "euler": EulerSampler,
    "euler, stochastic": lambda: EulerSampler(stochasticity=0.5, jump_rate=2.0, temperature=0.8),
    "ancestral": AncestralSampler,
    "heun": lambda: HeunSampler(UniformGrid()),
    "multistep": MultistepSampler,
}


@pytest.fixture(scope="session")
def statistics() -> Statistics:
    """What a data set could be like."""
    return Statistics(
        vocabulary=Vocabulary(("H", "C", "N", "O", "F")),
        num_molecules=100,
        sizes={3: 20, 5: 50, 9: 30},
        atom_types=(0.51, 0.35, 0.06, 0.075, 0.005),
        charges=(0.02, 0.95, 0.03),
        bond_types=(0.885, 0.1, 0.01, 0.005),
        position_std=1.7,
    )


@pytest.fixture(params=ALL_SCHEDULES.values(), ids=ALL_SCHEDULES.keys())
def schedule(request: pytest.FixtureRequest) -> NoiseSchedule:
    """Each schedule."""
    return request.param()


@pytest.fixture(params=ALL_PROCESSES.values(), ids=ALL_PROCESSES.keys())
def process(request: pytest.FixtureRequest, statistics: Statistics) -> Process:
    """Each process with its own schedule, calibrated."""
    field, make = request.param
    out = make(None)
    out.calibrate(field, statistics)
    return out


@pytest.fixture(params=ALL_DENOISERS.values(), ids=ALL_DENOISERS.keys())
def denoiser(request: pytest.FixtureRequest, statistics: Statistics) -> Denoiser:
    """Each denoiser, small, with weights that are the same in each run."""
    import torch

    torch.manual_seed(0)
    return request.param(statistics.vocabulary)


@pytest.fixture(params=ALL_SAMPLERS.values(), ids=ALL_SAMPLERS.keys())
def sampler(request: pytest.FixtureRequest) -> Sampler:
    """Each sampler."""
    return request.param()


@pytest.fixture
def labelled_qm9(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MoleculeTable:
    """In place of QM9, 200 of its molecules, with numbers for properties that can be read off their coordinates."""
    from moldiff.data import qm9

    folder = tmp_path / "cache"
    monkeypatch.setenv("MOLDIFF_CACHE", str(folder))
    monkeypatch.setattr("moldiff.data.qm9_datamodule.edm_split", random_split)
    found = sdf_table(root / "tests" / "fixtures" / "qm9_200.sdf")
    molecules = [found.molecule(i) for i in range(len(found))]
    spread = [float(m.positions.std()) for m in molecules]
    properties = {name: [k + len(m) + s for m, s in zip(molecules, spread, strict=True)] for k, name in enumerate(SIX)}
    metadata = {"left_out": {}, "units": dict.fromkeys(SIX, "eV"), "version": qm9.PROCESSING_VERSION}
    vocabulary = Vocabulary(("H", "C", "N", "O", "F"))
    table = MoleculeTable.from_arrays(molecules, properties=properties, vocabulary=vocabulary, metadata=metadata)
    table.save(folder / f"qm9-qm9pack-v{qm9.PROCESSING_VERSION}.safetensors")
    return table


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository; not to be written to."""
    return ROOT


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader of the README has it: the configs, the fixtures, and what earlier tests wrote."""
    folder = tmp_path_factory.mktemp("workspace")
    if (ROOT / "configs").is_dir():
        shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copytree(ROOT / "tests" / "fixtures", folder / "tests" / "fixtures")
    return folder


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Variables for a subprocess that finds the commands `python` and `moldiff` of the running interpreter."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def browser() -> Iterator["webdriver.Chrome"]:
    """A headless Chromium, if there is one."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next((path for path in map(shutil.which, names) if path), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1300,900")
    software = (
        "--enable-unsafe-swiftshader",
        "--use-gl=angle",
        "--use-angle=swiftshader",
    )  # 3D without a graphics card
    for flag in (*flags, *software):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service(driver))
    yield browser
    browser.quit()
