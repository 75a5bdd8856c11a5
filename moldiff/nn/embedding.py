"""Embeddings of scalars: sinusoidal for time, Gaussian bases for distances."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """Sines and cosines of the time at geometric frequencies, then a small network (Vaswani 2017; Ho 2020)."""

    frequencies: Tensor

    def __init__(self, width: int, num_frequencies: int = 32, max_frequency: float = 1000.0) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0, math.log(max_frequency), num_frequencies))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(2 * num_frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Float[Tensor, " B"]) -> Float[Tensor, "B D"]:
        """Embed times in [0, 1]."""
        angle = t[:, None] * self.frequencies
        embedding: Tensor = self.mlp(torch.cat([torch.sin(angle), torch.cos(angle)], -1))
        return embedding


class GaussianBasis(nn.Module):
    """A distance as Gaussian bumps at evenly spaced centres, one spacing wide (Schütt 2017, SchNet)."""

    centres: Tensor

    def __init__(self, num_bases: int, cutoff: float) -> None:
        """`cutoff`: the last centre, in the unit of the distances; what lies beyond fades to zero."""
        super().__init__()
        self.register_buffer("centres", torch.linspace(0, cutoff, num_bases), persistent=False)
        self.inverse_width = (num_bases - 1) / cutoff

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S K"]:
        """Expand distances along a new last axis."""
        offset = (distance[..., None] - self.centres) * self.inverse_width
        square = offset.square()
        return torch.exp(-square.clamp(max=80)) * (square < 80)  # denormal numbers would take many times as long
