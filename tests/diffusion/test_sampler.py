"""Laws of all samplers."""

from collections.abc import Callable
from copy import copy

import pytest
import torch
from torch import Tensor, nn

from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion import (
    AncestralSampler,
    CategoricalProcess,
    CosineSchedule,
    EulerSampler,
    GaussianProcess,
    GeometricGrid,
    HeunSampler,
    JointProcess,
    LinearSchedule,
    MoleculeNoise,
    MultistepSampler,
    NoiseSchedule,
    OneHotGaussianProcess,
    PolynomialSchedule,
    Sampler,
    StepOptions,
    StreamNoise,
    UniformGrid,
)
from moldiff.diffusion.frame import centre
from moldiff.models import EGNN, Context, Denoiser, EquivariantGraphTransformer, Prediction
from moldiff.nn.geometry import centred
from moldiff.testing import random_batch

SIZES = (6, 3, 1, 4)


class Oracle(Denoiser):
    """Knows the clean molecules, and says them in the parameterisation that the coordinates' process asks for."""

    def __init__(self, clean: MolBatch, process: JointProcess) -> None:
        super().__init__()
        self.clean, self.process, self.blocks = clean, process.processes, nn.ModuleList()

    def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
        outputs = {name: self._output(process, name, noisy, t) for name, process in self.process.items()}
        return Prediction(**outputs)

    def _output(self, process: nn.Module, name: str, noisy: MolBatch, t: Tensor) -> Tensor:
        clean = getattr(self.clean, name)
        if isinstance(process, CategoricalProcess):
            return 100.0 * nn.functional.one_hot(clean, process.num_classes).float()
        if isinstance(process, OneHotGaussianProcess):
            clean = nn.functional.one_hot(clean, process.num_classes).float() * process.scale
            process = process.gaussian
        assert isinstance(process, GaussianProcess)
        at = process.schedule(t[:, None, None])
        eps = (getattr(noisy, name) - at.alpha * clean) / at.sigma
        return {"x0": clean, "eps": eps, "v": at.d_alpha * clean + at.d_sigma * eps}[process.parameterisation]


def joint(statistics: Statistics, kind: str, pos_only: bool = False) -> JointProcess:
    """Three ways to model molecules: this package's, a discrete one with masks, EDM's."""
    polynomial = PolynomialSchedule()
    processes = {
        "flow": {
            "pos": GaussianProcess(align_noise=False),
            "atom_types": CategoricalProcess(),
            "charges": CategoricalProcess("uniform"),
            "bond_types": CategoricalProcess("absorbing"),
        },
        "velocity": {
            "pos": GaussianProcess(CosineSchedule(), "v"),
            "bond_types": CategoricalProcess("absorbing", CosineSchedule()),
        },
        "edm": {"pos": GaussianProcess(polynomial, "eps", "eps", 0.0), "atom_types": OneHotGaussianProcess(polynomial)},
    }[kind]
    return JointProcess(processes, statistics)


@pytest.fixture
def clean() -> MolBatch:
    batch = random_batch(sizes=SIZES)
    return centre(batch.replace(pos=batch.pos.float()))


@pytest.mark.parametrize("kind", ["flow", "velocity", "edm"])
@pytest.mark.parametrize("num_steps", [1, 2, 9])
def test_oracle_gives_the_data(
    sampler: Sampler, kind: str, num_steps: int, clean: MolBatch, statistics: Statistics
) -> None:
    process = joint(statistics, kind)
    out = sampler(Oracle(clean, process), process, clean.mask, num_steps, MoleculeNoise(0, torch.arange(4)))
    torch.testing.assert_close(out.pos, clean.pos, atol=2e-3, rtol=0)
    for name in ("atom_types", "charges", "bond_types"):
        value, expected, here = getattr(out, name), getattr(clean, name), clean.mask_of(name)
        assert (value is None) == (name not in process.processes)
        assert value is None or torch.equal(value[here], expected[here])


@pytest.fixture
def network(statistics: Statistics) -> Denoiser:
    torch.manual_seed(0)
    return EquivariantGraphTransformer(statistics.vocabulary, 16, 8, 4, 2, 1, 2, 8).double()


def run(
    sampler: Sampler, network: Denoiser, statistics: Statistics, sizes: tuple[int, ...], first: int = 0
) -> MolBatch:
    mask = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    noise = MoleculeNoise(3, torch.arange(first, first + len(sizes)))
    with torch.no_grad():
        return sampler(network, joint(statistics, "flow"), mask, 4, noise)


@pytest.fixture
def double() -> object:
    """The processes draw numbers of the default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
def test_same_noise_gives_same_molecules(sampler: Sampler, network: Denoiser, statistics: Statistics) -> None:
    """A sampler keeps nothing between calls."""
    one, other, again = (run(sampler, network, statistics, SIZES, first) for first in (0, 50, 0))
    for name in ("pos", "atom_types", "charges", "bond_types"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert not torch.equal(one.pos, other.pos)


@pytest.mark.usefixtures("double")
def test_molecules_do_not_depend_on_the_batch(sampler: Sampler, network: Denoiser, statistics: Statistics) -> None:
    """Nor on how much it is padded: each alone is as it is among the others."""
    together = run(sampler, network, statistics, SIZES)
    for row, n in enumerate(SIZES):
        alone = run(sampler, network, statistics, (n,), first=row)
        pairs = n * (n - 1) // 2
        torch.testing.assert_close(alone.pos[0], together.pos[row, :n])
        assert torch.equal(alone.atom_types[0], together.atom_types[row, :n])
        assert torch.equal(alone.charges[0], together.charges[row, :n])
        assert torch.equal(alone.bond_types[0], together.bond_types[row, :pairs])


@pytest.mark.usefixtures("double")
def test_a_walk_in_parts_is_a_whole_walk(sampler: Sampler, network: Denoiser, statistics: Statistics) -> None:
    """If it goes on from where it came to, with the estimate before."""
    if isinstance(sampler, MultistepSampler):
        pytest.skip("a step needs the time of the estimate before, too")
    process, times = joint(statistics, "flow"), sampler.grid(5)[:-1]
    mask, noise = torch.arange(6) < torch.tensor(SIZES)[:, None], MoleculeNoise(3, torch.arange(len(SIZES)))
    with torch.no_grad():
        x = process.prior(mask, noise)
        whole = sampler.walk(network, process, x, times, copy(noise))
        for k in range(len(times) - 1):
            start = Context(previous=None if k == 0 else part.previous)
            part = sampler.walk(network, process, x, times[k : k + 2], noise, start)
            x = part.batch
    assert whole.time == part.time == times[-1]
    torch.testing.assert_close(part.batch.pos, whole.batch.pos)
    assert torch.equal(part.batch.bond_types, whole.batch.bond_types)
    torch.testing.assert_close(part.estimate.pos, whole.estimate.pos)


def test_earlier_estimates_are_handed_on(sampler: Sampler, clean: MolBatch, statistics: Statistics) -> None:
    """The first call has no earlier estimate; each later one has one of this run."""
    process = joint(statistics, "flow")
    seen: list[Prediction | None] = []

    class Watching(Oracle):
        def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
            assert context is not None
            seen.append(context.previous)
            return super().forward(noisy, t, context)

    sampler(Watching(clean, process), process, clean.mask, 3, MoleculeNoise(0, torch.arange(4)))
    assert len(seen) == (5 if isinstance(sampler, HeunSampler) else 3)
    assert seen[0] is None
    for previous in seen[1:]:
        assert previous is not None
        torch.testing.assert_close(previous.pos, clean.pos)
        torch.testing.assert_close(previous.atom_types.sum(-1), torch.ones(4, 6))


class GaussianScore(Denoiser):
    """The true mean of the data given x_t, if the data are normal with a standard deviation."""

    def __init__(self, schedule: NoiseSchedule, data_std: float, noise_std: float) -> None:
        super().__init__()
        self.schedule, self.data_std, self.noise_std, self.blocks = schedule, data_std, noise_std, nn.ModuleList()

    def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
        at = self.schedule(t.double()[:, None, None])
        signal = at.alpha * self.data_std**2
        return Prediction(noisy.pos * signal / (signal * at.alpha + (at.sigma * self.noise_std) ** 2))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("schedule", [LinearSchedule(), CosineSchedule()])
@pytest.mark.parametrize(("make", "order"), [(EulerSampler, 1), (HeunSampler, 2), (MultistepSampler, 2)])
def test_order_on_gaussian_data(schedule: NoiseSchedule, make: Callable[[GeometricGrid], Sampler], order: int) -> None:
    """The ODE scales every point by the ratio of the spreads; half the step, and the error falls by 2^order."""
    data_std, scale = 0.6, 1.5
    process = JointProcess({"pos": GaussianProcess(schedule, scale=scale, align_noise=False)})
    mask = torch.ones(2, 5, dtype=torch.bool)
    start = process.prior(mask, MoleculeNoise(0, torch.arange(2))).pos
    errors = []
    for num_steps in (64, 128, 256):
        network, noise = GaussianScore(schedule, data_std, scale), MoleculeNoise(0, torch.arange(2))
        end = make(GeometricGrid(1e-4))(network, process, mask, num_steps, noise).pos
        errors.append((end - start * data_std / scale).norm())
    rates = torch.log2(torch.stack(errors[:-1]) / torch.stack(errors[1:]))
    torch.testing.assert_close(rates, torch.full((2,), float(order)), atol=0.1, rtol=0)


@pytest.mark.parametrize("kind", ["linear", "polynomial"])
def test_spread_on_gaussian_data(sampler: Sampler, kind: str) -> None:
    """With the true score and many steps, every sampler draws the law of the data."""
    schedule = LinearSchedule() if kind == "linear" else PolynomialSchedule()
    process = JointProcess({"pos": GaussianProcess(schedule, scale=1.0, align_noise=False)})
    mask = torch.ones(2000, 4, dtype=torch.bool)
    noise = StreamNoise(torch.Generator().manual_seed(0))
    out = sampler(GaussianScore(schedule, 0.5, 1.0), process, mask, 100, noise).pos.float()
    expected = torch.tensor(0.5 * (3 / 4) ** 0.5)  # of centred points
    torch.testing.assert_close(out.std(), expected, rtol=0.05, atol=0)
    torch.testing.assert_close(centred(out, mask), out, atol=1e-5, rtol=0)


def test_ancestral_sampling_is_that_of_its_papers() -> None:
    """Fresh noise of the full size (DDPM), exact posteriors of the classes (D3PM)."""
    assert AncestralSampler(temperature=0.9).options == StepOptions(1.0, temperature=0.9, posterior=True)


def test_edm_sampler_runs_with_egnn(statistics: Statistics) -> None:
    network = EGNN(statistics.vocabulary, 8, 2)
    with torch.no_grad():
        out = EulerSampler(UniformGrid(), 1.0)(
            network, joint(statistics, "edm"), random_batch(sizes=SIZES).mask, 5, StreamNoise()
        )
    assert torch.isfinite(out.pos).all()
    assert out.bond_types is None
