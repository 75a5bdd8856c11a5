"""Each process's share of the variational bound: laws of all of them, and exact likelihoods of small laws."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from moldiff.data.statistics import Statistics
from moldiff.diffusion import (
    BoundedProcess,
    CategoricalProcess,
    GaussianProcess,
    LinearSchedule,
    Noise,
    NoiseSchedule,
    OneHotGaussianProcess,
    PolynomialSchedule,
    Process,
    StepOptions,
    StreamNoise,
)
from moldiff.nn.geometry import centred

Field = Callable[[Process, Tensor], Tensor]
EVEN = 20_000
MANY = 20_000
ANCESTRAL = StepOptions(stochasticity=1.0, posterior=True)


class Constant(Noise):
    """The same normal number everywhere, and uniform numbers that lie evenly."""

    def __init__(self, number: float = 0.0) -> None:
        self.number = number

    def uniform(self, like: Tensor) -> Tensor:
        return ((torch.arange(like.numel()) + 0.5) / like.numel()).reshape(like.shape)

    def normal(self, like: Tensor) -> Tensor:
        return torch.full_like(like, self.number)


def times(count: int, last: float) -> Tensor:
    """From 1 to `last` in steps that are shorter near the data."""
    return (1 + torch.linspace(0, 1, count + 1, dtype=torch.float64) * (last**0.25 - 1)) ** 4


def worse(estimate: Tensor) -> Tensor:
    """Another clean estimate; probabilities, if the first one has them."""
    other = 0.7 * estimate + 0.3 / estimate.shape[-1]
    return other + 0.1 * (torch.arange(other.shape[1]) % 2)[:, None] if estimate.min() < 0 else other


# Laws of all processes


@pytest.fixture
def bounded(process: Process) -> BoundedProcess:
    assert isinstance(process, BoundedProcess), "every process of the package has a bound"
    return process


def test_a_step_costs_nothing_for_the_true_estimate_or_without_time(
    bounded: BoundedProcess, mask: Tensor, noise: StreamNoise, clean_field: Field, true_estimate: Field
) -> None:
    clean = clean_field(bounded, mask)
    t, s = torch.tensor([0.9, 0.5, 0.1]).double(), torch.tensor([0.6, 0.1, 0.01]).double()
    noisy, truth = bounded.diffuse(clean, t, mask, noise), true_estimate(bounded, clean)
    zero = torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(bounded.step_kl(noisy, truth, clean, t, s, mask), zero, atol=1e-9, rtol=0)
    torch.testing.assert_close(bounded.step_kl(noisy, worse(truth), clean, t, t, mask), zero, atol=1e-9, rtol=0)


def test_a_step_costs_more_for_a_worse_estimate(bounded: BoundedProcess, clean_field: Field) -> None:
    mask = torch.ones(1, MANY // 10, dtype=torch.bool)
    clean, t, s = clean_field(bounded, mask), torch.tensor([0.7]).double(), torch.tensor([0.3]).double()
    noisy = bounded.diffuse(clean, t, mask, StreamNoise(torch.Generator().manual_seed(0)))
    truth = bounded.encode(clean)
    wrong = truth.roll(1, 1)
    costs = [bounded.step_kl(noisy, truth + w * (wrong - truth), clean, t, s, mask).item() for w in (0.1, 0.3, 0.6)]
    assert 0.001 < costs[0] < costs[1] < costs[2]


def test_padding_has_no_effect(bounded: BoundedProcess, mask: Tensor, clean_field: Field, true_estimate: Field) -> None:
    clean, t, s = clean_field(bounded, mask), torch.full((3,), 0.5).double(), torch.full((3,), 0.2).double()
    noisy = bounded.diffuse(clean, t, mask, StreamNoise(torch.Generator().manual_seed(0)))
    estimate = worse(true_estimate(bounded, clean))
    wide = torch.nn.functional.pad(mask, (0, 3))

    def padded(x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x, (0, 0) * (x.dim() - 2) + (0, 3))

    for args, kind in (((t, s), "step_kl"), ((t,), "reconstruction")):
        short = getattr(bounded, kind)(noisy, estimate, clean, *args, mask)
        long = getattr(bounded, kind)(padded(noisy), padded(estimate), padded(clean), *args, wide)
        torch.testing.assert_close(short, long)
        assert short.isfinite().all()
    torch.testing.assert_close(bounded.prior_kl(clean, mask), bounded.prior_kl(padded(clean), wide))


def test_diffusion_ends_in_the_prior(bounded: BoundedProcess, noise: StreamNoise, clean_field: Field) -> None:
    """Whatever `corrupt` does: with aligned noise the products of data and noise would be above zero."""
    mask = torch.ones(MANY, 3, dtype=torch.bool)
    clean = clean_field(bounded, mask[:1]).repeat(MANY, *[1] * (clean_field(bounded, mask[:1]).dim() - 1))
    prior, end = bounded.prior(mask, noise), bounded.diffuse(clean, torch.ones(MANY).double(), mask, noise)
    if isinstance(bounded, CategoricalProcess):
        prior, end = (torch.nn.functional.one_hot(x, bounded.num_classes + 1).float() for x in (prior, end))
    for a, b in ((prior, end), (prior.square(), end.square())):
        error = 6 * ((a.var(0) + b.var(0)) / MANY).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() <= error + 1e-4).all()
    torch.testing.assert_close(bounded.prior_kl(clean[:3], mask[:3]), torch.zeros(3).double(), atol=1e-4, rtol=0)


def test_a_step_costs_what_the_ancestral_sampler_does(
    bounded: BoundedProcess, clean_field: Field, true_estimate: Field
) -> None:
    """The relative entropy of the laws from which `step` draws, with the true and with another estimate."""
    mask = torch.ones(1, 3 if not isinstance(bounded, CategoricalProcess) else EVEN, dtype=torch.bool)
    t, s = torch.tensor([0.8]), torch.tensor([0.3])
    clean = clean_field(bounded, mask[:, :3])
    if isinstance(bounded, CategoricalProcess):
        clean = clean[:, :1].expand(1, EVEN)
    noisy = bounded.diffuse(clean[:, :1].expand(clean.shape), t, mask, Constant(0.7))
    if isinstance(bounded, CategoricalProcess):
        noisy = noisy[:, -1:].expand(1, EVEN)  # one token at t, so that the evenly drawn tokens show its law at s
    truth = true_estimate(bounded, clean)
    kl = bounded.step_kl(noisy, worse(truth), clean, t.double(), s.double(), mask)
    if isinstance(bounded, CategoricalProcess):
        p, q = (
            torch.bincount(bounded.step(noisy, e, t, s, mask, Constant(), ANCESTRAL)[0], minlength=6).double() / EVEN
            for e in (truth, worse(truth))
        )
        expected = torch.xlogy(p, p / q.clamp(min=1e-9)).sum() * EVEN
        torch.testing.assert_close(kl[0], expected, rtol=0.02, atol=1e-3 * EVEN)
        return
    a, b = (bounded.step(noisy, e, t, s, mask, Constant(), ANCESTRAL) for e in (truth, worse(truth)))
    gaussian = bounded.gaussian if isinstance(bounded, OneHotGaussianProcess) else bounded
    assert isinstance(gaussian, GaussianProcess)
    gaussian.centre = False  # a constant would be centred away
    spread = bounded.step(noisy, truth, t, s, mask, Constant(1.0), ANCESTRAL) - a
    expected = ((a - b).square() / spread.square() / 2).sum()
    torch.testing.assert_close(kl[0].float(), expected, rtol=1e-4, atol=0)


# Exact likelihoods: 1-D laws, whose terms are integrated numerically


def expected_bound(
    process: BoundedProcess,
    clean: Tensor,
    nodes: Tensor,
    weights: Tensor,
    denoise: Callable[[Tensor, Tensor], Tensor],
    grid: Tensor,
    schedule: NoiseSchedule,
    scale: float,
) -> float:
    """The bound of one entry (1, 1, ...) with Gaussian noise, integrated over the noise: nodes (Q, K), weights (Q,)."""
    x0 = process.encode(clean).double()

    def draw(t: Tensor) -> tuple[Tensor, ...]:
        at = schedule(t[:, None, None])
        noisy = at.alpha * x0 + at.sigma * scale * nodes.repeat(len(t) // len(nodes), 1)[:, None]
        return noisy, denoise(noisy, t), clean.expand(len(t), *clean.shape[1:])

    t, s = (times.repeat_interleave(len(nodes)) for times in (grid[:-1], grid[1:]))
    mask = torch.ones(len(t), 1, dtype=torch.bool)
    steps = process.step_kl(*draw(t), t, s, mask).reshape(-1, len(nodes)) @ weights
    last = grid[-1].expand(len(nodes))
    rest = process.reconstruction(*draw(last), last, mask[: len(nodes)]) @ weights
    return float(steps.sum() + rest + process.prior_kl(clean, mask[:1]))


def limit(bound: Callable[[int], float]) -> float:
    """Of ever shorter steps: what is above it halves with their length."""
    return 2 * bound(400) - bound(200)


def quadrature(count: int, dimension: int = 1) -> tuple[Tensor, Tensor]:
    """Gauss-Hermite nodes (Q, K) and weights (Q,) of a standard normal law."""
    x, w = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(count))
    nodes = torch.cartesian_prod(*[x] * dimension).reshape(-1, dimension)
    weights = torch.cartesian_prod(*[w / w.sum()] * dimension).reshape(-1, dimension).prod(1)
    return nodes, weights


@pytest.mark.parametrize("make", [LinearSchedule, PolynomialSchedule])
def test_coordinates_reach_the_exact_likelihood(make: Callable[[], NoiseSchedule]) -> None:
    """Two normal laws mixed in one dimension, and their exact posterior mean.

    The mean bound lies above the entropy, the less so the shorter the steps, and each point's bound goes to -log p.
    """
    schedule, scale = make(), 1.3
    process = GaussianProcess(schedule, scale=scale, align_noise=False, centre=False)
    share, mean, std = torch.tensor([[0.3, 0.7], [-1.0, 1.5], [0.2, 0.6]]).double()
    nodes, weights = quadrature(40)

    def parts(x: Tensor, alpha: Tensor, sigma: Tensor) -> torch.distributions.Normal:
        return torch.distributions.Normal(alpha * mean, (alpha**2 * std**2 + sigma**2).sqrt())

    def log_p(x: Tensor) -> Tensor:
        one = torch.ones(1).double()
        return (parts(x, one, 0 * one).log_prob(x[..., None]) + share.log()).logsumexp(-1)

    def denoise(noisy: Tensor, t: Tensor) -> Tensor:
        at = schedule(t[:, None, None])
        sigma = at.sigma * scale
        law = parts(noisy, at.alpha, sigma)
        each = mean + at.alpha * std**2 / law.variance * (noisy - at.alpha * mean)
        return ((law.log_prob(noisy) + share.log()).softmax(-1) * each).sum(-1, keepdim=True)

    def bound(x: float, steps: int, denoise: Callable[[Tensor, Tensor], Tensor] = denoise) -> float:
        at = torch.full((1, 1, 1), x, dtype=torch.float64)
        return expected_bound(process, at, nodes, weights, denoise, times(steps, 1e-3), schedule, scale)

    for x in (-1.3, -1.0, 0.3, 1.4, 2.5):
        exact = -log_p(torch.tensor(x).double()).item()
        assert limit(lambda steps, x=x: bound(x, steps)) == pytest.approx(exact, abs=0.01)
    x = torch.linspace(-3, 5, 4001).double()
    entropy = torch.trapezoid(-log_p(x).exp() * log_p(x), x).item()
    points, chances = quadrature(12)

    def mean_bound(steps: int, shift: float = 0.0) -> float:
        """Integrated over each of the two normal laws of the data."""
        return sum(
            float(share[k] * w) * bound(float(mean[k] + std[k] * z), steps, lambda x, t: denoise(x, t) + shift)
            for k, (z, w) in product((0, 1), zip(points[:, 0], chances, strict=True))
        )

    coarse, fine, finest = mean_bound(5), mean_bound(200), mean_bound(400)
    assert entropy < finest < fine < coarse
    assert 2 * finest - fine == pytest.approx(entropy, abs=0.01)
    assert mean_bound(200, 0.003) > finest + 0.01


@pytest.mark.parametrize("size", [1, 2, 5])
def test_coordinates_have_the_dimension_of_a_fixed_centre(size: int) -> None:
    """A normal law in (N - 1) 3 dimensions; the mean over the noise is exact, since the terms are quadratic in it."""
    process, spread, d = GaussianProcess(scale=1.3), 0.8, (size - 1) * 3
    mask = (torch.arange(6) < size)[None]
    pos = spread * centred(torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(0)).double(), mask)
    axes = centred(torch.eye(18).double().reshape(18, 6, 3), mask.expand(18, 6))
    basis = torch.linalg.svd(axes.reshape(18, 18))[2][:d]
    eps = torch.cat([basis, -basis, torch.zeros(1, 18)]).reshape(-1, 6, 3) * d**0.5
    weights = torch.full((2 * d + 1,), 1 / max(1, 2 * d)).double()
    weights[-1] = float(d == 0)

    def draw(t: Tensor) -> tuple[Tensor, ...]:
        alpha, sigma = 1 - t[:, None, None], t[:, None, None] * 1.3
        noisy = alpha * pos + sigma * eps.repeat(len(t) // len(eps), 1, 1)
        return noisy, alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * noisy, pos.expand(len(t), 6, 3)

    def bound(steps: int) -> float:
        grid = times(steps, 1e-3)
        t, s = (x.repeat_interleave(len(eps)) for x in (grid[:-1], grid[1:]))
        last = grid[-1].expand(len(eps))
        steps_kl = process.step_kl(*draw(t), t, s, mask.expand(len(t), 6)).reshape(-1, len(eps)).sum(0) @ weights
        rest = process.reconstruction(*draw(last), last, mask.expand(len(last), 6)) @ weights
        return float(process.prior_kl(pos, mask) + steps_kl + rest)

    exact = d / 2 * np.log(2 * np.pi * spread**2) + pos.square().sum().item() / (2 * spread**2)
    assert limit(bound) == pytest.approx(exact, abs=0.01 * d)
    assert bound(100) > exact + 0.05 * d or d == 0


@pytest.mark.parametrize("make", [LinearSchedule, PolynomialSchedule])
def test_one_hot_classes_reach_the_exact_likelihood(make: Callable[[], NoiseSchedule], statistics: Statistics) -> None:
    schedule = make()
    process = OneHotGaussianProcess(schedule, scale=0.25)
    process.calibrate("charges", replace(statistics, charges=(0.5, 0.5)))
    share = torch.tensor([0.2, 0.8]).double()
    nodes, weights = quadrature(24, 2)

    def denoise(noisy: Tensor, t: Tensor) -> Tensor:
        at = schedule(t[:, None, None])
        return 0.25 * (share.log() + at.alpha * 0.25 * noisy / at.sigma**2).softmax(-1)

    def bound(label: int, steps: int) -> float:
        clean = torch.tensor([[label]])
        return expected_bound(process, clean, nodes, weights, denoise, times(steps, 1e-3), schedule, 1.0)

    for label in (0, 1):
        exact = -share[label].log().item()
        assert limit(lambda steps, k=label: bound(k, steps)) == pytest.approx(exact, abs=0.003)
    means = [sum(share[k].item() * bound(k, steps) for k in (0, 1)) for steps in (4, 40, 400)]
    assert means[0] > means[1] > means[2] > -(share * share.log()).sum().item()


@pytest.mark.parametrize("prior", ["marginal", "uniform", "absorbing"])
def test_classes_reach_the_exact_likelihood(prior: str, statistics: Statistics) -> None:
    """Two tokens that depend on each other: all values are summed over, the denoiser is exact.

    Tokens are drawn independently of each other in a step, so only infinitely short steps reach the exact value; a
    single token reaches it in any number of steps.
    """
    process = CategoricalProcess(prior)  # type: ignore[arg-type]
    process.calibrate("charges", statistics)
    law = process.law.double()
    joint = torch.tensor([[0.3, 0.05, 0.02], [0.01, 0.25, 0.04], [0.1, 0.03, 0.2]]).double()
    tokens = torch.cartesian_prod(torch.arange(4), torch.arange(4))

    def mean_bound(joint: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """The bound of every pair of classes, and the mean over them."""

        def share(kind: str, t: Tensor, *more: Tensor) -> Tensor:
            alpha = 1 - t[:, None, None]
            table = alpha * torch.eye(4)[:3] + (1 - alpha) * law  # (T, x_0, x_t)
            both = torch.einsum("ij,tia,tjb->tijab", joint, table, table)
            first, second = both.sum(2), both.sum(1)  # (T, x_0, a, b)
            estimate = torch.stack([first, second], 1).flatten(3).transpose(1, 3)  # (T, ab, x_0, token)
            estimate = (estimate / estimate.sum(2, keepdim=True).clamp(min=1e-300)).transpose(2, 3)
            out = []
            for i, j in product(range(3), range(3)):
                rows = len(t) * 16
                noisy = tokens.repeat(len(t), 1)
                times = [x.repeat_interleave(16) for x in (t, *more)]
                cost = getattr(process, kind)(
                    noisy,
                    estimate.reshape(rows, 2, 3),
                    torch.tensor([[i, j]]).expand(rows, 2),
                    *times,
                    torch.ones(rows, 2, dtype=torch.bool),
                )
                chance = (table[:, i, :, None] * table[:, j, None, :]).reshape(rows)
                out.append(torch.where(chance > 0, chance * cost, 0.0).sum())
            return torch.stack(out).reshape(3, 3)

        each = share("step_kl", grid[:-1], grid[1:]) + share("reconstruction", grid[-1:])
        return each, (joint * each).sum()

    entropy = -(joint * joint.log()).sum()
    coarse, fine, finest = (mean_bound(joint, torch.linspace(1, 1e-4, n + 1).double())[1] for n in (2, 10, 300))
    assert coarse > fine > finest > entropy
    assert fine > entropy + 0.01 > finest
    alone = torch.outer(joint.sum(1), joint.sum(0))
    each, _ = mean_bound(alone, torch.linspace(1, 0.1, 4).double())
    torch.testing.assert_close(each, -alone.log(), atol=1e-4, rtol=0)
