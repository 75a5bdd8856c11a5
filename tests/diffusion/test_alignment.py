"""Alignment of noise to data."""

from itertools import permutations

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from moldiff.diffusion import GaussianProcess, StreamNoise
from moldiff.diffusion.alignment import align
from moldiff.nn.geometry import centred
from moldiff.testing import random_mask

SIZES = (7, 4, 2, 1) * 10


def clouds(sizes: tuple[int, ...] = SIZES) -> tuple[Tensor, Tensor, Tensor]:
    mask, generator = random_mask(sizes), torch.Generator().manual_seed(0)
    noise, data = (torch.randn(*mask.shape, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    return centred(noise, mask), centred(data, mask), mask


def distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum((1, 2))


def test_distance_never_grows() -> None:
    noise, data, mask = clouds()
    before, after = distance(noise, data), distance(align(noise, data, mask), data)
    assert (after <= before + 1e-9).all()
    assert after.mean() < 0.5 * before.mean()


def test_points_stay_the_same_up_to_order_and_rotation() -> None:
    """The matrix that takes each point to the one as far from the centre is a rotation, not a reflection."""
    noise, data, mask = clouds()
    aligned = align(noise, data, mask)
    for a, b, n in zip(noise, aligned, mask.sum(1).tolist(), strict=True):
        a, b = a[:n][a[:n].norm(dim=1).argsort()], b[:n][b[:n].norm(dim=1).argsort()]
        torch.testing.assert_close(torch.cdist(a, a), torch.cdist(b, b))
        if n > 3:
            matrix = torch.linalg.lstsq(a, b).solution
            torch.testing.assert_close(matrix.T @ matrix, torch.eye(3).double())
            assert torch.linalg.det(matrix) > 0


def test_is_the_best_order_then_the_best_rotation() -> None:
    """Against all 24 orders of four atoms, and scipy's rotation."""
    noise, data, mask = clouds((4,) * 30)
    aligned = align(noise, data, mask)
    for x, y, got in zip(noise, data, aligned, strict=True):
        best = min((x[list(order)] for order in permutations(range(4))), key=lambda z: float((z - y).square().sum()))
        rotation, _ = Rotation.align_vectors(y.numpy(), best.numpy())
        torch.testing.assert_close(got, torch.from_numpy(rotation.apply(best.numpy())), atol=1e-7, rtol=0)


def test_own_copy_is_found_again() -> None:
    """Turned and shuffled a little, so that the best order is the right one."""
    _, data, mask = clouds((6,) * 5)
    turn = torch.from_numpy(Rotation.from_rotvec([0.1, -0.05, 0.08]).as_matrix())
    noise = data.flip(1) @ turn
    torch.testing.assert_close(align(noise, data, mask), data, atol=1e-6, rtol=0)


def test_mirror_image_is_not_turned_into_the_original() -> None:
    _, data, mask = clouds((6,) * 5)
    mirrored = data * torch.tensor([1.0, 1.0, -1.0]).double()
    assert (distance(align(mirrored, data, mask), data) > 1e-3).all()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_padding_stays_zero_and_the_type_is_kept(kind: torch.dtype) -> None:
    noise, data, mask = clouds()
    aligned = align(noise.to(kind), data.to(kind), mask)
    assert aligned.dtype == kind
    assert (aligned[~mask] == 0).all()
    torch.testing.assert_close(aligned.sum(1), torch.zeros(len(mask), 3, dtype=kind), atol=1e-5, rtol=0)


def test_input_is_left_as_it_is() -> None:
    noise, data, mask = clouds()
    copies = noise.clone(), data.clone()
    align(noise, data, mask)
    assert torch.equal(noise, copies[0])
    assert torch.equal(data, copies[1])


def test_process_aligns_when_asked() -> None:
    _, data, mask = clouds()
    t = torch.full((len(mask),), 0.5)
    free, aligned = (
        GaussianProcess(align_noise=choice).corrupt(data, t, mask, StreamNoise(torch.Generator().manual_seed(1)))
        for choice in (False, True)
    )
    assert distance(aligned, data).mean() < 0.7 * distance(free, data).mean()
