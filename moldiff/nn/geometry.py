"""Geometry of padded point clouds."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def mean_position(pos: Float[Tensor, "B N 3"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B 1 3"]:
    """The mean over each molecule's atoms."""
    weight = mask[..., None].to(pos.dtype)
    return (pos * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)


def centred(pos: Float[Tensor, "B N 3"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N 3"]:
    """Coordinates with the mean over each molecule's atoms at zero; padded atoms at zero."""
    return (pos - mean_position(pos, mask)) * mask[..., None].to(pos.dtype)
