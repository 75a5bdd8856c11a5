"""Which nodes of a pocket are nearest to each atom of a molecule, and what they look like from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Neighbours:
    """The K nearest pocket nodes of each atom, in the layout of `AtomFirst` (the batch behind the atoms)."""

    row: Int[Tensor, "N K B"]  # of the pocket nodes, flattened over pockets and nodes
    pos: Float[Tensor, "N K 3 B"]
    vectors: Float[Tensor, "N K 3 B V"]
    mask: Bool[Tensor, "N K B 1"]  # False: the atom is padding, or the pocket has fewer nodes
    most: int  # K in a large pocket, whatever the size of this one; sums are scaled by it

    @staticmethod
    def of(
        points: Sequence[Float[Tensor, "B N 3"]],
        mask: Bool[Tensor, "B N"],
        pos: Float[Tensor, "A M 3"],
        vectors: Float[Tensor, "A M 3 V"],
        pocket_mask: Bool[Tensor, "A M"],
        count: int,
        origin: Float[Tensor, "B 1 3"],
    ) -> Neighbours:
        """The nearest nodes to each of several guesses of where an atom is, in equal shares, `count` in all.

        There is one pocket for each molecule (A = B), or one for all (A = 1). The positions that are given are in its
        frame, those in the result about `origin`.
        """
        wanted = max(1, count // len(points))
        share = min(wanted, pos.shape[1])
        found = []
        for guess in points:
            distance = torch.cdist(guess, pos.expand(len(guess), -1, -1))
            distance = distance.masked_fill(~pocket_mask[:, None], torch.inf)
            found.append(distance.topk(share, largest=False, sorted=False))
        nearest = torch.cat([f.indices for f in found], -1)
        there = torch.cat([f.values for f in found], -1).isfinite() & mask[..., None]
        if len(pos) > 1:
            nearest = nearest + torch.arange(len(pos), device=pos.device)[:, None, None] * pos.shape[1]
        row = nearest.permute(1, 2, 0).contiguous()
        return Neighbours(
            row,
            _take(pos.flatten(0, 1), row).movedim(-1, 2) - origin.squeeze(1).t(),
            _take(vectors.flatten(0, 1), row).movedim(-2, 2),
            there.permute(1, 2, 0)[..., None],
            wanted * len(points),
        )

    def gather(self, nodes: Float[Tensor, "A M K2"]) -> Float[Tensor, "N K B K2"]:
        """Features of the pocket nodes at their places."""
        return _take(nodes.flatten(0, 1), self.row)


def _take(rows: Float[Tensor, "R *F"], index: Int[Tensor, "N K B"]) -> Float[Tensor, "N K B *F"]:
    return rows.index_select(0, index.flatten()).reshape(*index.shape, *rows.shape[1:])
