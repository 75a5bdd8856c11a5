"""Optimal alignment of noise to data: assignment of atoms, then rotation (Song 2023, EquiFM; Klein 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def align(
    noise: Float[Tensor, "B N 3"], data: Float[Tensor, "B N 3"], mask: Bool[Tensor, "B N"], turn: bool = True
) -> Float[Tensor, "B N 3"]:
    """Permute (Hungarian assignment), then turn (Kabsch, proper rotations) each molecule's noise towards its data.

    Both must be centred, with padded atoms at zero. The noise of a molecule stays the same set of points up to a
    rotation, so its distribution is unchanged while the paths to the data get shorter. That holds for rotations only if
    nothing else says how the data lie: in a pocket, noise must not be turned (`turn` = False). Computed in float64,
    whatever the autocast.
    """
    with torch.autocast(noise.device.type, enabled=False):
        points, target = noise.double(), data.double()
        points = _assign(points, target, mask)
        if not turn:
            return points.to(noise.dtype)
        return (points @ best_rotation(points, target)).to(noise.dtype)


def best_rotation(points: Float[Tensor, "B N 3"], target: Float[Tensor, "B N 3"]) -> Float[Tensor, "B 3 3"]:
    """The proper rotations R for which points @ R, both centred, come nearest to the target (Kabsch).

    Points that are no finite numbers are not turned: they must not keep the others of a batch from it.
    """
    covariance = points.transpose(1, 2) @ target
    finite = covariance.isfinite().flatten(1).all(1)[:, None, None]
    u, _, vh = torch.linalg.svd(torch.where(finite, covariance, torch.eye(3).to(covariance)))
    sign = torch.linalg.det(u @ vh)
    rotation: Tensor = torch.cat([u[:, :, :2], u[:, :, 2:] * sign[:, None, None]], -1) @ vh
    return rotation


@dataclass(frozen=True)
class Motion:
    """A rigid motion of each molecule, x -> x @ turn + shift, computed in float64 whatever the autocast."""

    turn: Float[Tensor, "B 3 3"]
    shift: Float[Tensor, "B 1 3"]  # Å

    @staticmethod
    def onto(points: Float[Tensor, "B N 3"], target: Float[Tensor, "B N 3"], turn: bool = True) -> Motion:
        """The motion that brings points nearest to their targets (Kabsch); without `turn`, the best translation."""
        x, y = points.double(), target.double()
        a, b = x.mean(1, keepdim=True), y.mean(1, keepdim=True)
        with torch.autocast(points.device.type, enabled=False):
            best = best_rotation(x - a, y - b) if turn else torch.eye(3).to(x).expand(len(x), 3, 3)
            return Motion(best, b - a @ best)

    def __call__(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
        """Move points."""
        with torch.autocast(points.device.type, enabled=False):
            return (points.double() @ self.turn + self.shift).to(points.dtype)


def _assign(noise: Tensor, data: Tensor, mask: Tensor) -> Tensor:
    """Noise points in the order that minimises the sum of squared distances to the data."""
    cost = -(data @ noise.transpose(1, 2)).detach().cpu().numpy()  # |a - b|^2 up to terms without the pair
    order = np.tile(np.arange(noise.shape[1]), (len(noise), 1))
    for row, n in enumerate(mask.sum(1).tolist()):
        order[row, :n] = linear_sum_assignment(cost[row, :n, :n])[1]
    index = torch.as_tensor(order, device=noise.device)[..., None].expand_as(noise)
    return noise.gather(1, index)
