"""Laws of all noise schedules."""

import pytest
import torch

from moldiff.diffusion import CosineSchedule, NoiseSchedule, PolynomialSchedule

TIMES = torch.linspace(0.005, 0.995, 199, dtype=torch.float64)


def test_signal_to_noise_ratio_falls(schedule: NoiseSchedule) -> None:
    values = schedule(TIMES)
    assert (values.log_snr.diff() < 0).all()
    torch.testing.assert_close(values.log_snr, 2 * (values.alpha / values.sigma).log())


def test_runs_from_data_to_noise(schedule: NoiseSchedule) -> None:
    ends = schedule(torch.tensor([0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(ends.alpha, torch.tensor([1.0, 0.0]).double(), atol=0.011, rtol=0)
    torch.testing.assert_close(ends.sigma, torch.tensor([0.0, 1.0]).double(), atol=0.011, rtol=0)


def test_inverse_undoes(schedule: NoiseSchedule) -> None:
    torch.testing.assert_close(schedule.inverse(schedule(TIMES).log_snr), TIMES, atol=1e-9, rtol=0)


def test_inverse_is_finite_in_single_precision(schedule: NoiseSchedule) -> None:
    log_snr = torch.tensor([-40.0, -11.0, 0.0, 11.0, 40.0])
    t = schedule.inverse(log_snr)
    assert ((t >= 0) & (t <= 1)).all()
    assert (t.diff() <= 0).all()


def test_derivatives_are_those_of_autograd(schedule: NoiseSchedule) -> None:
    t = TIMES.clone().requires_grad_()
    values = schedule(t)
    for curve, slope in ((values.alpha, values.d_alpha), (values.sigma, values.d_sigma)):
        (expected,) = torch.autograd.grad(curve.sum(), t, retain_graph=True)
        torch.testing.assert_close(slope, expected)


@pytest.mark.parametrize("schedule", [CosineSchedule(), PolynomialSchedule(), PolynomialSchedule(3.0, 1e-3)])
def test_variance_is_preserved(schedule: NoiseSchedule) -> None:
    values = schedule(TIMES)
    torch.testing.assert_close(values.alpha**2 + values.sigma**2, torch.ones_like(TIMES))


def test_polynomial_is_that_of_edm() -> None:
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    expected = torch.tensor([1 - 1e-5, (1 - 2e-5) * 0.5625 + 1e-5, 1e-5], dtype=torch.float64)
    torch.testing.assert_close(PolynomialSchedule(2.0, 1e-5)(t).alpha ** 2, expected)


@pytest.mark.parametrize("settings", [{"power": 0.0}, {"precision": 0.0}, {"precision": 0.5}])
def test_settings_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="change the schedule"):
        PolynomialSchedule(**settings)
