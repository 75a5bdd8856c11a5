"""Atoms and packed pairs with the batch as second axis, the layout in which large batches are fast.

Features of atoms are (N, B, K), of pairs (P, B, K), in the order of `MolBatch`. Going from atoms to pairs then copies
whole rows of B x K numbers, and sums over partners add such rows, without a step per molecule.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moldiff.nn.pairs import pair_tables

_DENSE = 48  # up to so many atoms a product with the dense incidence matrix beats gathering rows
_INCIDENCE: dict[tuple[int, torch.device], Tensor] = {}


@dataclass(frozen=True)
class AtomFirst:
    """Index tables and masks of one batch; the masks are None if no molecule is padded (always there on a GPU)."""

    i: Int[Tensor, " P"]
    j: Int[Tensor, " P"]
    to_full: Int[Tensor, " NN"]  # row of the packed pair for each entry of the N x N matrix; P on the diagonal
    incidence: Float[Tensor, "P N"] | None  # for few atoms
    count: Float[Tensor, "B 1"]  # atoms of each molecule
    atoms: Bool[Tensor, "N B 1"] | None
    pairs: Bool[Tensor, "P B 1"] | None

    @staticmethod
    def of(mask: Bool[Tensor, "B N"]) -> AtomFirst:
        """Tables for a batch. On a GPU masks are not looked at, which would make the host wait."""
        i, j, to_full = pair_tables(mask.shape[1], mask.device)
        incidence = _incidence(i, j, mask.shape[1])
        count = mask.sum(1, dtype=torch.float32)[:, None]
        if mask.device.type == "cpu" and bool(mask.all()):
            return AtomFirst(i, j, to_full, incidence, count, None, None)
        atoms = mask.t()[..., None]
        return AtomFirst(i, j, to_full, incidence, count, atoms, atoms[i] & atoms[j])

    def add_ends(self, pairs: Float[Tensor, "P B K"], x: Float[Tensor, "N B K"]) -> Float[Tensor, "P B K"]:
        """pairs_ij + x_i + x_j."""
        if self.incidence is None:
            return pairs + x.index_select(0, self.i) + x.index_select(0, self.j)
        flat = torch.addmm(pairs.flatten(1), self.incidence.to(x.dtype), x.flatten(1))
        return flat.reshape(pairs.shape)

    def difference(self, x: Float[Tensor, "N B *K"]) -> Float[Tensor, "P B *K"]:
        """x_i - x_j of all pairs, i > j."""
        return x.index_select(0, self.i) - x.index_select(0, self.j)

    def sum_symmetric(self, x: Float[Tensor, "P B K"], n: int) -> Float[Tensor, "N B K"]:
        """Sum over the partners of each of n atoms: out_i = sum_j x_ij with x_ij = x_ji; in float32 inside."""
        if self.incidence is None:
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            out = wide.new_zeros(n, *x.shape[1:]).index_add_(0, self.i, wide).index_add_(0, self.j, wide)
            return out.to(x.dtype)
        return (self.incidence.to(x.dtype).t() @ x.flatten(1)).reshape(n, *x.shape[1:])

    def sum_antisymmetric(self, x: Float[Tensor, "P B *K"], n: int) -> Float[Tensor, "N B *K"]:
        """Sum over the partners of each of n atoms: out_i = sum_j x_ij with x_ij = -x_ji (stored for i > j)."""
        out = x.new_zeros(n, *x.shape[1:])
        return out.index_add_(0, self.i, x).index_add_(0, self.j, x, alpha=-1)

    def full(self, x: Float[Tensor, "P B K"], n: int) -> Float[Tensor, "N N B K"]:
        """Packed pairs as a symmetric matrix with a diagonal of zeros."""
        padded = torch.cat([x, x.new_zeros(1, *x.shape[1:])])
        return padded.index_select(0, self.to_full).reshape(n, n, *x.shape[1:])


def _incidence(i: Tensor, j: Tensor, n: int) -> Float[Tensor, "P N"] | None:
    """Row (i, j) is 1 at i and at j; made once per size and device; None where gathering rows is faster."""
    key = (n, i.device)
    if n > _DENSE:
        return None
    if key not in _INCIDENCE:
        with torch.inference_mode(False):
            table = torch.zeros(len(i), n, device=i.device)
            rows = torch.arange(len(i), device=i.device)
            table[rows, i] = table[rows, j] = 1
            _INCIDENCE[key] = table
    return _INCIDENCE[key]
