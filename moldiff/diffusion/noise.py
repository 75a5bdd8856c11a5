"""Sources of random numbers: torch's own stream for training, a keyed one per molecule for sampling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Noise(ABC):
    """Where the diffusion takes its random numbers from."""

    @abstractmethod
    def uniform(self, like: Float[Tensor, "B *S"]) -> Float[Tensor, "B *S"]:
        """Independent numbers in the open interval (0, 1), with the shape, type and device of `like`."""

    @abstractmethod
    def normal(self, like: Float[Tensor, "B *S"]) -> Float[Tensor, "B *S"]:
        """Independent standard normal numbers, with the shape, type and device of `like`."""


class StreamNoise(Noise):
    """Numbers from a torch generator (the global one if None), one after the other."""

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.generator = generator

    def uniform(self, like: Float[Tensor, "B *S"]) -> Float[Tensor, "B *S"]:
        """See `Noise`."""
        return torch.rand(like.shape, generator=self.generator, dtype=like.dtype, device=like.device).clamp(min=1e-12)

    def normal(self, like: Float[Tensor, "B *S"]) -> Float[Tensor, "B *S"]:
        """See `Noise`."""
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype, device=like.device)


class MoleculeNoise(Noise):
    """Numbers that depend on the seed, the molecule's index, the count of draws and the place in the molecule only.

    So a molecule gets the same noise in whatever batch, at whatever padding and on whatever device it is made. The
    numbers are hashes of these keys by the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
    """

    def __init__(self, seed: int, indices: Int[Tensor, " B"]) -> None:
        self.key = _mix(
            _mix(torch.tensor(seed, dtype=torch.int64, device=indices.device)) + indices.to(torch.int64) * _GOLDEN
        )
        self.draws = 0

    def take(self, rows: Int[Tensor, " C"]) -> MoleculeNoise:
        """That of some of the molecules, which goes on where this one stands."""
        noise = copy(self)
        noise.key = self.key[rows]
        return noise

    def uniform(self, like: Float[Tensor, "B *S"]) -> Float[Tensor, "B *S"]:
        """See `Noise`. 24 random bits each."""
        self.draws += 1
        place = torch.arange(1, like[0].numel() + 1, device=like.device) * _GOLDEN
        stream = (self.draws * _STRIDE + 2**63) % 2**64 - 2**63  # as a signed integer
        bits = _mix(_mix(self.key + stream)[:, None] + place)
        numbers = ((bits >> 40) & 0xFFFFFF).to(torch.float32)
        return ((numbers + 0.5) / 2**24).to(like.dtype).clamp(max=1 - 2**-24).reshape(like.shape)

    def normal(self, like: Float[Tensor, "B *S"]) -> Float[Tensor, "B *S"]:
        """See `Noise`."""
        numbers: Tensor = torch.special.ndtri(self.uniform(like))
        return numbers


_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed integer
_STRIDE = -2643881736870682267  # another odd constant


def _mix(x: Int[Tensor, "*S"]) -> Int[Tensor, "*S"]:
    """The finaliser of SplitMix64; int64 arithmetic wraps, shifts are made logical by masks."""
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * -4658895280553007687
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * -7723592293110705685
    return x ^ ((x >> 31) & ((1 << 33) - 1))
