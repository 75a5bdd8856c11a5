"""Noise on classes: exact probabilities, by uniform numbers that lie evenly in place of random ones."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from moldiff.data.statistics import Statistics
from moldiff.diffusion import (
    CategoricalProcess,
    LinearSchedule,
    MoleculeNoise,
    Noise,
    OneHotGaussianProcess,
    StepOptions,
    StreamNoise,
)
from moldiff.diffusion.categorical import draw, sharpen

PRIORS = ["marginal", "uniform", "absorbing"]
EVEN = 20_000


class EvenNoise(Noise):
    """Uniform numbers (k + 1/2) / L in a row, so that shares of draws are probabilities to 1/L."""

    def uniform(self, like: Tensor) -> Tensor:
        return ((torch.arange(like.numel()) + 0.5) / like.numel()).reshape(like.shape)

    def normal(self, like: Tensor) -> Tensor:
        return torch.special.ndtri(self.uniform(like))


@pytest.fixture(params=PRIORS)
def categorical(request: pytest.FixtureRequest, statistics: Statistics) -> CategoricalProcess:
    process = CategoricalProcess(request.param)
    process.calibrate("bond_types", statistics)
    return process


def shares(tokens: Tensor, count: int) -> Tensor:
    return torch.bincount(tokens.flatten(), minlength=count) / tokens.numel()


def test_prior_has_its_law(statistics: Statistics) -> None:
    mask = torch.ones(1, EVEN, dtype=torch.bool)
    laws = {"marginal": (*statistics.charges, 0.0), "uniform": (1 / 3, 1 / 3, 1 / 3, 0.0), "absorbing": (0.0, 0, 0, 1)}
    for name, law in laws.items():
        process = CategoricalProcess(name)
        process.calibrate("charges", statistics)
        torch.testing.assert_close(shares(process.prior(mask, EvenNoise()), 4), torch.tensor(law), atol=1e-4, rtol=0)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_corrupt_keeps_alpha(categorical: CategoricalProcess, t: float) -> None:
    mask = torch.ones(1, EVEN, dtype=torch.bool)
    noisy = categorical.corrupt(torch.full((1, EVEN), 2), torch.tensor([t]), mask, StreamNoise(_generator()))
    expected = t * categorical.law
    expected[2] += 1 - t
    torch.testing.assert_close(shares(noisy, 5), expected, atol=0.02, rtol=0)


@pytest.mark.parametrize(("t", "s"), [(0.9, 0.4), (0.3, 0.0), (1.0, 0.7)])
@pytest.mark.parametrize("token", [0, 2, 3])
def test_posterior_is_that_of_enumeration(categorical: CategoricalProcess, t: float, s: float, token: int) -> None:
    """p(x_s | x_t) by summing over all x_0 and x_s with Bayes' rule on the transition matrices."""
    law = categorical.law
    now = 4 if categorical.kind == "absorbing" and (token == 0 or t == 1) else token
    p0 = torch.tensor([0.5, 0.2, 0.1, 0.2])
    to_s = (1 - s) * torch.eye(5) + s * law  # row: x_0, column: x_s; alpha = 1 - t
    ratio = (1 - t) / (1 - s)
    s_to_t = ratio * torch.eye(5) + (1 - ratio) * law
    expected = torch.zeros(5)
    for x0 in range(4):
        path = to_s[x0] * s_to_t[:, now]  # of x_s, for this x_0
        if path.sum() > 0:  # x_0 can have led to x_t
            expected += p0[x0] * path / path.sum()
    mask = torch.ones(1, EVEN, dtype=torch.bool)
    stepped = categorical.step(
        torch.full((1, EVEN), now),
        p0.expand(1, EVEN, 4),
        torch.tensor([t]),
        torch.tensor([s]),
        mask,
        EvenNoise(),
        StepOptions(posterior=True),
    )
    torch.testing.assert_close(shares(stepped, 5), expected / expected.sum(), atol=2e-4, rtol=0)


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
def test_jumps_come_at_their_rate(categorical: CategoricalProcess, rate: float) -> None:
    """From t to s a token stays with probability (s / t)^rate."""
    mask = torch.ones(1, EVEN, dtype=torch.bool)
    estimate = torch.tensor([0.0, 1.0, 0.0, 0.0]).expand(1, EVEN, 4)
    tokens, t, s = torch.full((1, EVEN), 3), torch.tensor([0.8]), torch.tensor([0.2])
    stepped = categorical.step(tokens, estimate, t, s, mask, StreamNoise(_generator()), StepOptions(jump_rate=rate))
    assert shares(stepped, 5)[3].item() == pytest.approx(0.25**rate, abs=0.015)
    assert shares(stepped, 5)[1].item() == pytest.approx(1 - 0.25**rate, abs=0.015)


def test_padded_tokens_do_not_jump(categorical: CategoricalProcess, mask: Tensor, noise: StreamNoise) -> None:
    estimate = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(*mask.shape, 4)
    t, s = torch.ones(3), torch.zeros(3)
    for options in (StepOptions(), StepOptions(posterior=True)):
        stepped = categorical.step(categorical.prior(mask, noise), estimate, t, s, mask, noise, options)
        assert (stepped[mask] == 3).all()
        assert (stepped[~mask] == 0).all()


def test_loss_is_the_cross_entropy_of_each_molecule(categorical: CategoricalProcess, mask: Tensor) -> None:
    clean, t = torch.ones_like(mask).long(), torch.full((3,), 0.5)
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().expand(*mask.shape, 4).clone()
    logits[~mask] = 1e3
    loss = categorical.loss(logits, clean, clean, t, mask)
    torch.testing.assert_close(loss, -torch.tensor(0.3).log().expand(3))


def test_loss_without_entries_is_zero(categorical: CategoricalProcess) -> None:
    empty = torch.zeros(2, 0, dtype=torch.long)
    loss = categorical.loss(torch.zeros(2, 0, 4), empty, empty, torch.rand(2), empty.bool())
    assert torch.equal(loss, torch.zeros(2))


def test_draws_follow_the_weights() -> None:
    weights = torch.tensor([0.0, 2.0, 0.0, 6.0, 0.0])  # they need not sum to one
    drawn = draw(weights.expand(EVEN, 5), EvenNoise().uniform(torch.empty(EVEN)))
    torch.testing.assert_close(shares(drawn, 5), torch.tensor([0, 0.25, 0, 0.75, 0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("uniform", [1e-12, 2**-25, 1 - 2**-24])
def test_impossible_classes_are_never_drawn(uniform: float) -> None:
    """Not at the ends of the unit interval either, for sums that rounding takes to either side of one."""
    weights = torch.rand(4000, 6, generator=_generator())
    weights[:, 0] = weights[:, -1] = 0
    weights = weights / weights.sum(1, keepdim=True)
    drawn = draw(weights, torch.full((4000,), uniform))
    assert ((drawn > 0) & (drawn < 5)).all()


def test_temperature() -> None:
    p = torch.tensor([0.6, 0.3, 0.1])
    torch.testing.assert_close(sharpen(p, 1.0), p)
    torch.testing.assert_close(sharpen(p, 0.5), p**2 / (p**2).sum())
    torch.testing.assert_close(sharpen(p, 0.01), torch.tensor([1.0, 0, 0]))


@pytest.mark.parametrize(
    ("temperature", "law"), [(1.0, [0.6, 0.3, 0.1, 0.0]), (0.5, [36 / 46, 9 / 46, 1 / 46, 0.0]), (0.01, [1.0, 0, 0, 0])]
)
def test_jumps_are_sharpened(categorical: CategoricalProcess, temperature: float, law: list[float]) -> None:
    """In proportion at 1, to the likeliest class only near 0."""
    mask, t, s = torch.ones(1, EVEN, dtype=torch.bool), torch.ones(1), torch.zeros(1)
    estimate = torch.tensor([0.6, 0.3, 0.1, 0.0]).expand(1, EVEN, 4)
    start = categorical.prior(mask, EvenNoise())
    stepped = categorical.step(start, estimate, t, s, mask, EvenNoise(), StepOptions(temperature=temperature))
    torch.testing.assert_close(shares(stepped, 4), torch.tensor(law), atol=1e-4, rtol=0)


def test_calibration_counts_the_classes(statistics: Statistics) -> None:
    other = replace(statistics, atom_types=(0.25,) * 4)
    for process in (CategoricalProcess(), CategoricalProcess("absorbing"), OneHotGaussianProcess()):
        process.calibrate("atom_types", other)
        assert process.num_classes == 4
        logits = torch.eye(4)[None]
        assert process.decode(logits).tolist() == [[0, 1, 2, 3]]


def test_one_hot_vectors_are_scaled(statistics: Statistics) -> None:
    process = OneHotGaussianProcess(LinearSchedule(), scale=0.25)
    process.calibrate("charges", statistics)
    mask = torch.ones(1, 2, dtype=torch.bool)
    noisy = process.corrupt(torch.tensor([[2, 0]]), torch.full((1,), 1e-6), mask, MoleculeNoise(0, torch.arange(1)))
    torch.testing.assert_close(noisy, torch.tensor([[[0, 0, 0.25], [0.25, 0, 0]]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("settings", [{"stochasticity": 1.1}, {"jump_rate": 0.0}, {"temperature": -1.0}])
def test_step_options_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="got"):
        StepOptions(**settings)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
