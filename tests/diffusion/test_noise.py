"""Laws of the sources of random numbers."""

import pytest
import torch

from moldiff.diffusion import MoleculeNoise, Noise, StreamNoise
from moldiff.diffusion.noise import _GOLDEN, _mix


def molecules(count: int, seed: int = 0) -> MoleculeNoise:
    return MoleculeNoise(seed, torch.arange(count))


@pytest.mark.parametrize("noise", [molecules(200), StreamNoise(torch.Generator().manual_seed(0))])
def test_moments(noise: Noise) -> None:
    like = torch.empty(200, 400, 3)
    u, z = noise.uniform(like), noise.normal(like)
    assert u.shape == z.shape == like.shape
    assert ((u > 0) & (u < 1)).all()
    torch.testing.assert_close(torch.stack([u.mean(), u.var()]), torch.tensor([1 / 2, 1 / 12]), atol=0.004, rtol=0)
    torch.testing.assert_close(
        torch.stack([z.mean(), z.var(), (z**3).mean(), (z**4).mean()]), torch.tensor([0.0, 1, 0, 3]), atol=0.06, rtol=0
    )


@pytest.mark.parametrize("noise", [molecules(100), StreamNoise(torch.Generator().manual_seed(0))])
def test_draws_molecules_and_places_are_uncorrelated(noise: Noise) -> None:
    draws = torch.stack([noise.normal(torch.empty(100, 1000)) for _ in range(4)])
    for numbers in (draws.flatten(1), draws.transpose(0, 1).flatten(1), draws.permute(2, 0, 1).flatten(1)[:200]):
        correlations = torch.corrcoef(numbers) - torch.eye(len(numbers))
        assert correlations.abs().max() < 6 / numbers.shape[1] ** 0.5


def test_molecules_do_not_depend_on_the_batch() -> None:
    indices = torch.tensor([3, 11, 4, 1000])
    together = MoleculeNoise(5, indices)
    alone = MoleculeNoise(5, torch.tensor([4]))
    for _ in range(3):
        assert torch.equal(together.normal(torch.empty(4, 6, 3))[2], alone.normal(torch.empty(1, 6, 3))[0])


def test_molecules_do_not_depend_on_padding() -> None:
    short, long = molecules(3), molecules(3)
    for _ in range(3):
        assert torch.equal(short.uniform(torch.empty(3, 4, 3)), long.uniform(torch.empty(3, 9, 3))[:, :4])


def test_molecules_depend_on_seed_index_and_draw() -> None:
    like = torch.empty(2, 50)
    noise = molecules(2)
    first, second, other = noise.uniform(like), noise.uniform(like), molecules(2, seed=1).uniform(like)
    rows = torch.cat([first, second, other])
    assert len(rows.flatten().unique()) == rows.numel()


def test_stream_is_reproducible() -> None:
    like = torch.empty(3, 4)
    first, again = (StreamNoise(torch.Generator().manual_seed(7)).normal(like) for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("noise", [molecules(2), StreamNoise()])
def test_numbers_have_the_type_of_what_they_are_for(noise: Noise) -> None:
    assert noise.normal(torch.empty(2, 3, dtype=torch.float64)).dtype == torch.float64


def test_hashes_are_those_of_splitmix64() -> None:
    """The first numbers of the generator with the seed 1234567, as published (Rosetta Code, Pseudo-random numbers)."""
    states = torch.tensor(1234567) + _GOLDEN * torch.arange(1, 6)
    published = [
        *(6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431),
        16408922859458223821,
    ]
    assert [number % 2**64 for number in _mix(states).tolist()] == published


def test_numbers_of_a_seed_are_the_same_in_every_release() -> None:
    """So are the molecules of a seed, as long as model and arithmetic are."""
    noise, like = MoleculeNoise(7, torch.tensor([0, 5])), torch.empty(2, 3, dtype=torch.float64)
    first, second = noise.uniform(like), noise.uniform(like)
    assert first.tolist() == [
        [0.25882264971733093, 0.9145976305007935, 0.9652992486953735],
        [0.5123205184936523, 0.13106444478034973, 0.06405863165855408],
    ]
    assert (second * 2**25).tolist() == [[27188116, 31422296, 11587457], [3624579, 7033985, 17350340]]
