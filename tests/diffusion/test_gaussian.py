"""Gaussian noise on coordinates: its moments, its parameterisations and the weights of its loss."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from moldiff.diffusion import GaussianProcess, LinearSchedule, NoiseSchedule, PolynomialSchedule, StreamNoise
from moldiff.diffusion.gaussian import Parameterisation
from moldiff.nn.geometry import centred

KINDS = get_args(Parameterisation)


@pytest.fixture
def clean(mask: Tensor) -> Tensor:
    return centred(torch.randn(*mask.shape, 3, generator=torch.Generator().manual_seed(3)), mask)


@pytest.mark.parametrize("t", [0.2, 0.7])
def test_moments(schedule: NoiseSchedule, t: float, noise: StreamNoise) -> None:
    """Mean alpha x0; covariance sigma^2 scale^2 (1 - 1/n) of an atom with itself, -1/n with another."""
    n, many = 4, 30_000
    mask = torch.ones(many, n, dtype=torch.bool)
    clean = centred(torch.randn(1, n, 3), mask[:1])
    process = GaussianProcess(schedule, scale=1.3, align_noise=False)
    noisy = process.corrupt(clean.expand(many, n, 3), torch.full((many,), t), mask, noise)
    at = schedule(torch.tensor(t))
    torch.testing.assert_close(noisy.mean(0), at.alpha * clean[0], atol=0.04, rtol=0)
    covariance = torch.cov(noisy.flatten(1).T).reshape(n, 3, n, 3)
    expected = (1.3 * at.sigma) ** 2 * torch.einsum("ij,xy->ixjy", torch.eye(n) - 1 / n, torch.eye(3))
    torch.testing.assert_close(covariance, expected, atol=0.05, rtol=0)


def test_noise_is_centred_and_zero_in_the_padding(mask: Tensor, clean: Tensor, noise: StreamNoise) -> None:
    process = GaussianProcess(align_noise=True)
    for field in (process.prior(mask, noise), process.corrupt(clean, torch.full((3,), 0.6), mask, noise)):
        torch.testing.assert_close(field.sum(1), torch.zeros(3, 3), atol=1e-5, rtol=0)
        assert (field[~mask] == 0).all()


def test_free_noise_is_not_centred(mask: Tensor, noise: StreamNoise) -> None:
    assert (GaussianProcess(centre=False).prior(mask, noise).sum(1).abs() > 1e-3).all()


def test_scale_is_the_spread_of_the_prior(noise: StreamNoise) -> None:
    prior = GaussianProcess(scale=2.5, centre=False).prior(torch.ones(500, 9, dtype=torch.bool), noise)
    torch.testing.assert_close(prior.std(), torch.tensor(2.5), rtol=0.03, atol=0)


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_same_error_of_x0_costs_the_same(
    target: Parameterisation, floor: float, schedule: NoiseSchedule, mask: Tensor, clean: Tensor, noise: StreamNoise
) -> None:
    """Whatever the network gives, the loss depends on the clean estimate that follows from it alone."""
    t = torch.tensor([0.1, 0.5, 0.8], dtype=torch.float64)
    clean = clean.double()
    noisy = GaussianProcess(schedule, align_noise=False).corrupt(clean, t, mask, noise)
    wrong = clean + centred(0.1 * torch.randn_like(clean), mask)
    at = schedule(t[:, None, None])
    eps = (noisy - at.alpha * wrong) / at.sigma
    outputs = {"x0": wrong, "eps": eps, "v": at.d_alpha * wrong + at.d_sigma * eps}
    losses = []
    for kind, output in outputs.items():
        process = GaussianProcess(schedule, kind, target, floor)
        torch.testing.assert_close(process.estimate(noisy, output, t, mask), wrong)
        losses.append(process.loss(output, clean, noisy, t, mask))
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(losses[2], losses[0])


def test_velocity_at_the_very_end_means_what_it_means_just_before(
    schedule: NoiseSchedule, mask: Tensor, clean: Tensor, noise: StreamNoise
) -> None:
    """Networks are trained up to there, samplers begin at t = 1, where the curves of EDM's schedule stand still."""
    process, t = GaussianProcess(schedule, "v", align_noise=False), torch.full((3,), 1 - 1e-4)
    noisy, at = process.corrupt(clean, t, mask, noise), schedule(t[:, None, None])
    output = at.d_alpha * clean + at.d_sigma * (noisy - at.alpha * clean) / at.sigma
    torch.testing.assert_close(process.estimate(noisy, output, torch.ones(3), mask), clean, atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_own_target_without_floor_is_the_plain_error(
    kind: Parameterisation, mask: Tensor, clean: Tensor, noise: StreamNoise
) -> None:
    """As EDM's loss: the mean square of eps - output, in units of the scale."""
    schedule, t = PolynomialSchedule(), torch.tensor([0.1, 0.5, 0.999])
    process = GaussianProcess(schedule, kind, kind, loss_floor=0.0, weight=0.7, scale=2.0)
    noisy, at = process.corrupt(clean, t, mask, noise), schedule(t[:, None, None])
    eps = (noisy - at.alpha * clean) / at.sigma
    truth = {"x0": clean, "eps": eps, "v": at.d_alpha * clean + at.d_sigma * eps}[kind]
    loss = process.loss(truth + 0.3 * mask[..., None], clean, noisy, t, mask)
    torch.testing.assert_close(loss, torch.full((3,), 0.7 * 0.09 / 4), rtol=1e-3, atol=0)


def test_velocity_weight_of_the_linear_path(mask: Tensor, clean: Tensor, noise: StreamNoise) -> None:
    """An error of x0 weighs 1 / (t + floor)^2."""
    t = torch.tensor([0.05, 0.3, 0.9])
    process = GaussianProcess(LinearSchedule(), "x0", "v", loss_floor=0.02, scale=1.0)
    noisy = process.corrupt(clean, t, mask, noise)
    loss = process.loss(clean + 0.1 * mask[..., None], clean, noisy, t, mask)
    torch.testing.assert_close(loss, 0.01 / (t + 0.02) ** 2)


@pytest.mark.parametrize("settings", [{"scale": 0.0}, {"loss_floor": -0.1}, {"weight": -1.0}])
def test_settings_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="need scale > 0, loss_floor >= 0, weight >= 0: got"):
        GaussianProcess(**settings)
