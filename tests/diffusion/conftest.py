"""What the tests of processes share: clean fields, outputs that say the truth, and repeated molecules."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from moldiff.diffusion import CategoricalProcess, GaussianProcess, OneHotGaussianProcess, Process, StreamNoise
from moldiff.nn.geometry import centred
from moldiff.testing import random_mask

SIZES = (5, 3, 1)


@pytest.fixture
def mask() -> Tensor:
    return random_mask(SIZES)


@pytest.fixture
def noise() -> StreamNoise:
    return StreamNoise(torch.Generator().manual_seed(0))


@pytest.fixture
def clean_field() -> Callable[[Process, Tensor], Tensor]:
    """A clean field for a process: centred coordinates, features or classes, the same for the same mask."""

    def make(process: Process, mask: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        if isinstance(process, GaussianProcess):
            numbers = 1.5 * torch.randn(*mask.shape, process.num_channels, generator=generator)
            return centred(numbers, mask) if process.centre else numbers * mask[..., None]
        assert isinstance(process, CategoricalProcess | OneHotGaussianProcess)
        return torch.randint(process.num_classes, mask.shape, generator=generator) * mask

    return make


@pytest.fixture
def true_estimate() -> Callable[[Process, Tensor], Tensor]:
    """The clean estimate of somebody who knows the clean field."""

    def make(process: Process, clean: Tensor) -> Tensor:
        if isinstance(process, GaussianProcess):
            return clean
        assert isinstance(process, CategoricalProcess | OneHotGaussianProcess)
        one_hot = torch.nn.functional.one_hot(clean, process.num_classes).float()
        return one_hot * process.scale if isinstance(process, OneHotGaussianProcess) else one_hot

    return make


@pytest.fixture
def true_output(
    true_estimate: Callable[[Process, Tensor], Tensor],
) -> Callable[[Process, Tensor, Tensor, Tensor], Tensor]:
    """The output of a network that knows the clean field: in the parameterisation of the process, or logits."""

    def make(process: Process, clean: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        x0 = true_estimate(process, clean)
        if isinstance(process, CategoricalProcess):
            return 100 * x0
        gaussian = process.gaussian if isinstance(process, OneHotGaussianProcess) else process
        assert isinstance(gaussian, GaussianProcess)
        at = gaussian.schedule(t[:, None, None])
        eps = (noisy - at.alpha * x0) / at.sigma
        return {"x0": x0, "eps": eps, "v": at.d_alpha * x0 + at.d_sigma * eps}[gaussian.parameterisation]

    return make
