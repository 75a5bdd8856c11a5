"""Moving features between atoms and packed symmetric pairs (the order is that of `MolBatch`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_INDICES: dict[tuple[int, torch.device], tuple[Tensor, Tensor, Tensor]] = {}


@dataclass(frozen=True)
class Pairs:
    """The index tables of the packed pairs of N atoms, with the masks of one batch."""

    i: Int[Tensor, " P"]
    j: Int[Tensor, " P"]
    to_full: Int[Tensor, " NN"]  # row of the packed pair for each entry of the N x N matrix; P on the diagonal
    mask: Bool[Tensor, "B N"]  # atoms
    pair_mask: Bool[Tensor, "B P"]

    @staticmethod
    def of(mask: Bool[Tensor, "B N"]) -> Pairs:
        """The pairs of a padded batch."""
        i, j, to_full = pair_tables(mask.shape[1], mask.device)
        return Pairs(i, j, to_full, mask, mask[:, i] & mask[:, j])

    def full(self, packed: Float[Tensor, "B P K"]) -> Float[Tensor, "B N N K"]:
        """Packed pairs as a symmetric matrix with a diagonal of zeros."""
        n = self.mask.shape[1]
        padded = torch.nn.functional.pad(packed, (0, 0, 0, 1))
        return padded[:, self.to_full].reshape(len(packed), n, n, -1)

    def sum_symmetric(self, packed: Float[Tensor, "B P K"]) -> Float[Tensor, "B N K"]:
        """Sum over the partners of each atom: out_i = sum_j x_ij with x_ij = x_ji."""
        out = packed.new_zeros(packed.shape[0], self.mask.shape[1], *packed.shape[2:])
        return out.index_add_(1, self.i, packed).index_add_(1, self.j, packed)

    def sum_antisymmetric(self, packed: Float[Tensor, "B P *K"]) -> Float[Tensor, "B N *K"]:
        """Sum over the partners of each atom: out_i = sum_j x_ij with x_ij = -x_ji (stored for i > j)."""
        out = packed.new_zeros(packed.shape[0], self.mask.shape[1], *packed.shape[2:])
        return out.index_add_(1, self.i, packed).index_add_(1, self.j, packed, alpha=-1)


def pair_tables(n: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Tables of one size, made once per device."""
    key = (n, device)
    if key not in _INDICES:
        with torch.inference_mode(False):  # or tables first made while sampling could not be used for training
            i, j = torch.tril_indices(n, n, -1, device=device)
            to_full = torch.full((n, n), len(i), device=device)
            to_full[i, j] = to_full[j, i] = torch.arange(len(i), device=device)
            _INDICES[key] = (i, j, to_full.flatten())
    return _INDICES[key]
