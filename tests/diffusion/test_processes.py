"""Laws of all processes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from moldiff.diffusion import CategoricalProcess, GaussianProcess, MoleculeNoise, Process, StepOptions, StreamNoise

Field = Callable[[Process, Tensor], Tensor]
Output = Callable[[Process, Tensor, Tensor, Tensor], Tensor]

OPTIONS = [StepOptions(), StepOptions(stochasticity=0.5, jump_rate=2.0), StepOptions(stochasticity=1.0, posterior=True)]
MANY = 20_000  # molecules in tests of moments


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_estimate_of_the_true_output_is_clean(
    process: Process,
    t: float,
    mask: Tensor,
    noise: StreamNoise,
    clean_field: Field,
    true_estimate: Field,
    true_output: Output,
) -> None:
    clean, times = clean_field(process, mask), torch.full((3,), t)
    noisy = process.corrupt(clean, times, mask, noise)
    estimate = process.estimate(noisy, true_output(process, clean, noisy, times), times, mask)
    torch.testing.assert_close(estimate, true_estimate(process, clean), atol=1e-5, rtol=0)
    assert torch.equal(
        process.decode(estimate)[mask], process.decode(true_estimate(process, clean))[mask]
    ) or isinstance(process, GaussianProcess)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_loss_is_least_for_the_true_output(
    process: Process, t: float, mask: Tensor, noise: StreamNoise, clean_field: Field, true_output: Output
) -> None:
    clean, times = clean_field(process, mask), torch.full((3,), t)
    noisy = process.corrupt(clean, times, mask, noise)
    output = true_output(process, clean, noisy, times)
    best = process.loss(output, clean, noisy, times, mask)
    assert best.shape == (3,)
    torch.testing.assert_close(best, torch.zeros(3), atol=1e-6, rtol=0)
    elsewhere = output + torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
    worse = process.loss(elsewhere, clean, noisy, times, mask)
    if isinstance(process, CategoricalProcess):
        worse = process.loss(-output, clean, noisy, times, mask)
    assert (worse > 1e-4).all()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 0.9])
def test_step_to_the_same_time_is_the_identity(
    process: Process,
    t: float,
    options: StepOptions,
    mask: Tensor,
    noise: StreamNoise,
    clean_field: Field,
    true_estimate: Field,
) -> None:
    clean, times = clean_field(process, mask), torch.full((3,), t)
    noisy = process.corrupt(clean, times, mask, noise)
    other = 0.9 * true_estimate(process, clean).flip(1) + 0.02  # of another molecule
    out = process.step(noisy, other, times, times, mask, noise, options)
    torch.testing.assert_close(out[mask], noisy[mask])


@pytest.mark.parametrize("options", OPTIONS)
def test_step_at_the_end_is_the_identity(
    process: Process, options: StepOptions, mask: Tensor, noise: StreamNoise, clean_field: Field, true_estimate: Field
) -> None:
    """At t = 1 there is nothing of the data left, so ratios of alpha have no value."""
    clean, times = clean_field(process, mask), torch.ones(3)
    noisy = process.corrupt(clean, times, mask, noise)
    out = process.step(noisy, true_estimate(process, clean), times, times, mask, noise, options)
    torch.testing.assert_close(out[mask], noisy[mask])


@pytest.mark.parametrize("options", OPTIONS)
def test_step_to_the_data_gives_the_estimate(
    process: Process, options: StepOptions, mask: Tensor, noise: StreamNoise, clean_field: Field, true_estimate: Field
) -> None:
    clean = clean_field(process, mask)
    t, s = torch.tensor([0.3, 0.9, 1.0]), torch.zeros(3)
    out = process.step(
        process.corrupt(clean, t, mask, noise), true_estimate(process, clean), t, s, mask, noise, options
    )
    expected = clean if isinstance(process, CategoricalProcess) else true_estimate(process, clean)
    torch.testing.assert_close(out[mask], expected[mask], atol=1e-5, rtol=0)


@pytest.mark.parametrize("ends", [(1.0, 0.6), (0.7, 0.2), (0.3, 0.0)])
def test_one_step_towards_the_aim_does_the_work_of_two(
    process: Process,
    ends: tuple[float, float],
    mask: Tensor,
    noise: StreamNoise,
    clean_field: Field,
    true_estimate: Field,
) -> None:
    """Of real values. The aim of classes is the last estimate, which is as good a target of the loss as a class."""
    t, middle, s = (torch.full((3,), x) for x in (ends[0], sum(ends) / 2, ends[1]))
    noisy = process.corrupt(clean_field(process, mask), t, mask, noise)
    estimates = [(1 + k) * true_estimate(process, clean_field(process, mask)) for k in (0.1, 0.3)]
    way = process.step(noisy, estimates[0], t, middle, mask, noise, StepOptions())
    way = process.step(way, estimates[1], middle, s, mask, noise, StepOptions())
    aim = process.aim(noisy, way, estimates[1], t, s)
    if isinstance(process, CategoricalProcess):
        assert torch.equal(aim, estimates[1])
        return
    there = process.step(noisy, aim, t, s, mask, noise, StepOptions())
    torch.testing.assert_close(there[mask], way[mask], atol=1e-5, rtol=1e-4)


def test_estimates_are_targets_of_the_loss(
    process: Process, mask: Tensor, noise: StreamNoise, clean_field: Field, true_estimate: Field
) -> None:
    """A clean estimate that is certain counts as the clean field; of two, equally likely, the loss is the mean."""
    clean, t = clean_field(process, mask), torch.full((3,), 0.5)
    noisy = process.corrupt(clean, t, mask, noise)
    sure, other = true_estimate(process, clean), true_estimate(process, clean).flip(-1)
    output = torch.randn(sure.shape)
    losses = [process.loss(output, target, noisy, t, mask) for target in (clean, sure, other, (sure + other) / 2)]
    torch.testing.assert_close(losses[0], losses[1])
    if isinstance(process, CategoricalProcess):
        torch.testing.assert_close(losses[3], (losses[1] + losses[2]) / 2)


@pytest.mark.parametrize("options", [StepOptions(), StepOptions(0.5), StepOptions(1.0, posterior=True)])
@pytest.mark.parametrize(("t", "s"), [(0.9, 0.6), (0.4, 0.1), (1.0, 0.3)])
def test_step_with_the_true_estimate_keeps_the_law(
    process: Process,
    t: float,
    s: float,
    options: StepOptions,
    noise: StreamNoise,
    clean_field: Field,
    true_estimate: Field,
) -> None:
    """x_s drawn from x_t has the moments of x_s drawn from the data."""
    if isinstance(process, GaussianProcess) and process.align_noise and options.stochasticity > 0:
        pytest.skip("fresh noise is not aligned to the data, so only the deterministic step keeps that law")
    mask = torch.ones(MANY, 3, dtype=torch.bool)
    clean = clean_field(process, mask[:1]).expand(MANY, *[-1] * (2 if isinstance(process, GaussianProcess) else 1))
    at_t, at_s = torch.full((MANY,), t), torch.full((MANY,), s)
    noisy = process.corrupt(clean, at_t, mask, noise)
    stepped = process.step(noisy, true_estimate(process, clean), at_t, at_s, mask, noise, options)
    direct = process.corrupt(clean, at_s, mask, noise)
    _assert_same_moments(process, stepped, direct)


def test_prior_is_the_law_at_the_end(process: Process, noise: StreamNoise, clean_field: Field) -> None:
    if isinstance(process, GaussianProcess) and process.align_noise:
        pytest.skip("aligned noise depends on the data")
    mask = torch.ones(MANY, 3, dtype=torch.bool)
    clean = clean_field(process, mask)
    _assert_same_moments(process, process.prior(mask, noise), process.corrupt(clean, torch.ones(MANY), mask, noise))


def test_corrupt_begins_at_the_data(
    process: Process, mask: Tensor, noise: StreamNoise, clean_field: Field, true_estimate: Field
) -> None:
    clean = clean_field(process, mask)
    noisy = process.corrupt(clean, torch.zeros(3), mask, noise)
    expected = clean if isinstance(process, CategoricalProcess) else true_estimate(process, clean)
    torch.testing.assert_close(noisy[mask], expected[mask], atol=1e-6, rtol=0)


@pytest.mark.parametrize("options", OPTIONS)
def test_padding_has_no_effect(
    process: Process, options: StepOptions, mask: Tensor, clean_field: Field, true_estimate: Field
) -> None:
    results = []
    n, t, s = mask.shape[1], torch.tensor([0.9, 0.5, 0.2]), torch.tensor([0.5, 0.1, 0.1])
    clean = clean_field(process, mask)
    for extra in (0, 4):
        wide = torch.nn.functional.pad(mask, (0, extra))
        x0 = torch.nn.functional.pad(clean, (0, 0) * (clean.dim() - 2) + (0, extra))
        noise = MoleculeNoise(0, torch.arange(3))
        x1, x_t = process.prior(wide, noise), process.corrupt(x0, t, wide, noise)
        estimate = 0.9 * true_estimate(process, x0)
        x_s = process.step(x_t, estimate, t, s, wide, noise, options)
        output = estimate + 0.1
        results.append((x1[:, :n][mask], x_t[:, :n][mask], x_s[:, :n][mask], process.loss(output, x0, x_t, t, wide)))
    for short, long in zip(*results, strict=True):
        torch.testing.assert_close(short, long)


def test_weight_scales_the_loss(
    process: Process, mask: Tensor, noise: StreamNoise, clean_field: Field, true_estimate: Field
) -> None:
    clean, t = clean_field(process, mask), torch.full((3,), 0.7)
    noisy = process.corrupt(clean, t, mask, noise)
    output = true_estimate(process, clean) + 0.3
    before = process.loss(output, clean, noisy, t, mask)
    for part in process.modules():
        if isinstance(part, GaussianProcess | CategoricalProcess):
            part.weight *= 3
    torch.testing.assert_close(process.loss(output, clean, noisy, t, mask), 3 * before)


def _assert_same_moments(process: Process, a: Tensor, b: Tensor) -> None:
    """Means, and covariances over atoms and components, of two large samples agree to 6 standard errors."""
    assert a.shape == b.shape
    if isinstance(process, CategoricalProcess):
        a, b = (torch.nn.functional.one_hot(x, process.num_classes + 1).float() for x in (a, b))
    a, b = a.flatten(1), b.flatten(1)
    centre = (a.mean(0) + b.mean(0)) / 2
    for x, y in (
        (a, b),
        *(((a - centre) * (a - centre).roll(k, 1), (b - centre) * (b - centre).roll(k, 1)) for k in range(8)),
    ):
        error = 6 * ((x.var(0) + y.var(0)) / len(a)).sqrt()
        assert ((x.mean(0) - y.mean(0)).abs() <= error + 1e-4).all()
