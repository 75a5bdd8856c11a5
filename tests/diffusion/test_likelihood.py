"""The variational bound of whole molecules: EDM's formula, and a law whose likelihood is known."""

from dataclasses import replace
from pathlib import Path

import jsonargparse
import pytest
import torch
import yaml
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion import (
    CategoricalProcess,
    EulerSampler,
    GaussianProcess,
    JointProcess,
    LinearSchedule,
    OneHotGaussianProcess,
    Process,
    StreamNoise,
)
from moldiff.diffusion.frame import centre
from moldiff.diffusion.likelihood import VariationalBound
from moldiff.diffusion.model import Model
from moldiff.diffusion.size_prior import SizePrior
from moldiff.models import Context, Denoiser, Prediction

SPREAD = 0.9  # Å, of the coordinates of the known law
SHARES = torch.tensor([0.4, 0.3, 0.2, 0.05, 0.05])  # of its elements


class ExactDenoiser(Denoiser):
    """The posterior mean of independent atoms; with self-conditioning it says so only when it is asked again."""

    def __init__(self, processes: dict[str, Process], self_conditioning: bool = False) -> None:
        super().__init__()
        self.processes, self.self_conditioning, self.calls = processes, self_conditioning, 0

    def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
        self.calls += 1
        if self.self_conditioning and (context is None or context.previous is None):
            return Prediction(0 * noisy.pos, torch.zeros(*noisy.mask.shape, 5))
        scale = self.processes["pos"].scale
        alpha, sigma = 1 - t[:, None, None], t[:, None, None] * scale
        pos = alpha * SPREAD**2 / (alpha**2 * SPREAD**2 + sigma**2) * noisy.pos
        types = noisy.atom_types
        assert types is not None
        if types.is_floating_point():
            logits = SHARES.log() + alpha * types * 0.25 / t[:, None, None] ** 2
            return Prediction(pos, 0.25 * logits.softmax(-1))
        law = self.processes["atom_types"].law
        now = torch.nn.functional.one_hot(types, 6).float()
        chance = alpha * now[..., :5] + (1 - alpha) * law[types][..., None]
        return Prediction(pos, (SHARES * chance).log())


def known_molecules(count: int) -> MolBatch:
    """Independent normal coordinates around the centre, independent elements."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(5) < torch.tensor([3, 5]).repeat(count // 2)[:, None]
    pos = SPREAD * torch.randn(count, 5, 3, generator=generator)
    types = torch.multinomial(SHARES, count * 5, replacement=True, generator=generator).reshape(count, 5) * mask
    return centre(MolBatch(pos, types, None, None, mask))


def known_model(statistics: Statistics, types: Process, self_conditioning: bool = False) -> Model:
    processes = {"pos": GaussianProcess(align_noise=True), "atom_types": types}
    joint = JointProcess(processes, statistics)
    return Model(ExactDenoiser(processes, self_conditioning), joint, EulerSampler(), 50, statistics, {})


@pytest.mark.parametrize("conditioned", [False, True])
@pytest.mark.parametrize("kind", ["marginal", "absorbing", "one-hot"])
def test_bound_of_a_known_law_is_its_likelihood(statistics: Statistics, kind: str, conditioned: bool) -> None:
    """Share by share, to five standard errors; the training would align the noise, the bound does not."""
    if kind == "one-hot":
        types: Process = OneHotGaussianProcess(LinearSchedule(), parameterisation="x0")
    else:
        types = CategoricalProcess(kind)  # type: ignore[arg-type]
    model, clean = known_model(statistics, types, conditioned), known_molecules(2000)
    noise = StreamNoise(torch.Generator().manual_seed(1))
    found = VariationalBound(num_times=12, num_steps=2000, resolution=0.02)(model, clean, noise)
    assert model.denoiser.calls == 13 * (1 + conditioned)
    d = (clean.num_atoms - 1).double() * 3
    exact = {
        "pos": d / 2 * torch.log(torch.tensor(2 * torch.pi * SPREAD**2))
        + clean.pos.square().sum((1, 2)) / 2 / SPREAD**2,
        "atom_types": -(SHARES.log()[clean.atom_types] * clean.mask).sum(1),
        "num_atoms": -torch.where(clean.num_atoms == 3, 0.2, 0.5).log(),
    }
    assert set(found.shares) == set(exact)
    for name, value in exact.items():
        excess = (found.shares[name] - value).double()
        error = excess.std() / len(excess) ** 0.5
        assert error < 0.15
        assert excess.mean().abs() < 4 * error + 0.01, (name, excess.mean(), error)
    torch.testing.assert_close(found.total, sum(found.shares.values()))


@pytest.fixture
def edm(root: Path, statistics: Statistics) -> tuple[JointProcess, VariationalBound]:
    """Processes and bound of configs/qm9_edm.yaml."""

    def build(processes: dict[str, Process]) -> JointProcess:
        return JointProcess(processes, statistics)

    settings = yaml.safe_load((root / "configs" / "qm9_edm.yaml").read_text(encoding="utf-8"))
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_function_arguments(build, None)
    values = parser.parse_object({"processes": settings["model"]["processes"]})
    return build(**vars(parser.instantiate(values))), VariationalBound(**settings["likelihood"])


def test_edm_config_has_the_terms_of_edm(edm: tuple[JointProcess, VariationalBound], statistics: Statistics) -> None:
    """Hoogeboom 2022, section 3, in terms of the noise eps.

    T terms (SNR(s) / SNR(t) - 1) |eps - output|^2 / 2, and that of t = 0: with its constants for (N - 1) 3 coordinates,
    and the integrals of the normal laws around the components of the noisy elements, divided by their sum.
    """
    joint, bound = edm
    times = bound.times(Model(ExactDenoiser({}), joint, EulerSampler(), 1000, statistics, {}))
    torch.testing.assert_close(times, torch.linspace(1, 0, 1001).double(), atol=1e-7, rtol=0)
    s_2 = 1e-5

    def snr(t: Tensor) -> Tensor:
        alpha2 = (1 - 2 * s_2) * (1 - t**2) ** 2 + s_2
        return alpha2 / (1 - alpha2)

    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    molecules = centre(
        MolBatch(
            torch.randn(2, 4, 3, generator=generator).double(),
            torch.tensor([[0, 3, 1, 2], [4, 1, 0, 0]]),
            None,
            None,
            mask,
        )
    )
    d = torch.tensor([9.0, 3.0]).double()
    for name, size in (("pos", 3), ("atom_types", 5)):
        process, clean = joint.bounded()[name], getattr(molecules, name)
        x0 = process.encode(clean).double() * mask[..., None]
        eps, output = (torch.randn(2, 4, size, generator=generator).double() for _ in range(2))
        if name == "pos":
            eps, output = (
                x - (x * mask[..., None]).sum(1, keepdim=True) / mask.sum(1)[:, None, None] for x in (eps, output)
            )
        error = ((eps - output).square().sum(-1) * mask).sum(1)
        t, s = times[[1, 700]], times[[2, 701]]
        alpha2 = (1 / (1 + 1 / snr(t)))[:, None, None]
        noisy = alpha2.sqrt() * x0 + (1 - alpha2).sqrt() * eps
        found = process.step_kl(noisy, process.estimate(noisy, output, t, mask), clean, t, s, mask)
        torch.testing.assert_close(found, 0.5 * (snr(s) / snr(t) - 1) * error, rtol=1e-5, atol=0)
        zero = torch.zeros(2).double()
        sigma = s_2**0.5
        noisy = (1 - s_2) ** 0.5 * x0 + sigma * eps
        found = process.reconstruction(noisy, process.estimate(noisy, output, zero, mask), clean, zero, mask)
        if name == "pos":
            constants = d * (
                torch.log(torch.tensor(s_2 / (1 - s_2)).double()) / 2 + torch.log(torch.tensor(2 * torch.pi)) / 2
            )
            expected = constants + error / 2
        else:
            normal = torch.distributions.Normal(0.0, sigma * 4)
            mass = normal.cdf(noisy * 4 - 1 + 0.5) - normal.cdf(noisy * 4 - 1 - 0.5) + 1e-10
            chosen = (mass / mass.sum(-1, keepdim=True)).gather(-1, clean[..., None])[..., 0]
            expected = -(chosen.log() * mask).sum(1)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)
        last2, square = torch.tensor(s_2).double(), (x0.square().sum((1, 2)))
        dimension = d if name == "pos" else 5 * mask.sum(1)
        prior = dimension * (-torch.log(1 - last2) - last2) / 2 + last2 * square / 2
        torch.testing.assert_close(process.prior_kl(clean, mask), prior, rtol=1e-4, atol=1e-9)


def test_classes_near_the_border_of_two(statistics: Statistics) -> None:
    """With much noise left, the integrals matter: compared with their values by the error function."""
    process = OneHotGaussianProcess()
    process.calibrate("charges", statistics)
    t, mask = torch.tensor([0.3]).double(), torch.ones(1, 1, dtype=torch.bool)
    noisy = torch.tensor([[[0.10, 0.21, -0.3]]]).double()
    at = process.gaussian.schedule(t)
    normal = torch.distributions.Normal(0.0, at.sigma / at.alpha / 0.25)
    centre_at = noisy[0, 0] / at.alpha / 0.25
    mass = normal.cdf(centre_at - 0.5) - normal.cdf(centre_at - 1.5)
    for label in range(3):
        found = process.reconstruction(noisy, noisy, torch.tensor([[label]]), t, mask)
        torch.testing.assert_close(found, -(mass[label] / mass.sum()).log()[None])


def test_times_end_at_the_resolution(statistics: Statistics) -> None:
    model = known_model(statistics, CategoricalProcess())
    for power in (1.0, 5.0):
        times = VariationalBound(num_steps=100, resolution=0.01, power=power).times(model)
        assert len(times) == 101
        assert times[0] == 1
        assert (times.diff() < 0).all()
        assert (times[-1] / (1 - times[-1]) * 1.72).item() == pytest.approx(0.01)


def test_sizes_have_their_frequencies(statistics: Statistics) -> None:
    found = SizePrior(statistics.sizes).log_prob(torch.tensor([3, 5, 9, 4]))
    torch.testing.assert_close(found.exp(), torch.tensor([0.2, 0.5, 0.3, 0.0]).double())
    assert found[3].item() == pytest.approx(-69.08, abs=0.01)  # log 1e-30


def test_processes_without_a_bound_are_named(statistics: Statistics) -> None:
    verbs = {name: lambda self, *_: None for name in Process.__abstractmethods__}
    unbounded = type("SomeProcess", (Process,), verbs)()
    joint = JointProcess({"pos": GaussianProcess(), "atom_types": unbounded}, statistics)
    with pytest.raises(ValueError, match="SomeProcess, the process of atom_types, has no bound"):
        joint.bounded()
    joint = JointProcess({"pos": GaussianProcess(), "atom_types": CategoricalProcess()}, statistics)
    assert list(joint.bounded()) == ["pos", "atom_types"]


@pytest.mark.parametrize("option", ["num_times", "num_steps", "resolution", "power"])
def test_settings_must_be_positive(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}.* must be positive"):
        VariationalBound(**{option: 0})


def test_statistics_without_a_size(statistics: Statistics) -> None:
    """A molecule of a size that training had not costs 69 nats more than the rest, and stays finite."""
    model = known_model(replace(statistics, sizes={9: 1}), CategoricalProcess())
    found = VariationalBound(num_times=1, num_steps=10)(model, known_molecules(4), StreamNoise())
    torch.testing.assert_close(found.shares["num_atoms"], torch.full((4,), 69.0776).double(), atol=1e-3, rtol=0)
    assert found.total.isfinite().all()


def test_data_without_a_field_are_refused(statistics: Statistics) -> None:
    model, clean = known_model(statistics, CategoricalProcess()), known_molecules(2).replace(atom_types=None)
    with pytest.raises(ValueError, match="the data have no atom_types"):
        VariationalBound()(model, clean, StreamNoise())
