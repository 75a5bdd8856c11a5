"""How many atoms a new molecule gets, and how likely a number is."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor


class SizePrior:
    """Draws sizes with the frequencies of the training molecules (Hoogeboom 2022, section 4)."""

    def __init__(self, histogram: Mapping[int, float]) -> None:
        """`histogram`: number of atoms -> number of molecules, or their weight."""
        if not histogram or min(histogram) < 1 or sum(histogram.values()) <= 0:
            raise ValueError(
                f"the size histogram must hold sizes >= 1 with counts: got {dict(histogram)}; compute it anew"
            )
        sizes = sorted(histogram)
        self.sizes = torch.tensor(sizes)
        counts = torch.tensor([histogram[n] for n in sizes], dtype=torch.float64)
        self.shares = counts / counts.sum()
        self.cumulative = torch.cumsum(self.shares, 0)

    def __call__(self, uniform: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Sizes from uniform numbers in (0, 1), by inverting the cumulative histogram."""
        place = torch.searchsorted(self.cumulative, uniform.double().cpu())
        return self.sizes[place.clamp(max=len(self.sizes) - 1)]

    def log_prob(self, sizes: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Log of the frequency of each size; of 1e-30 for one that the training molecules do not have (as in EDM)."""
        known = self.sizes.to(sizes.device) == sizes[:, None]
        return ((known * self.shares.to(sizes.device)).sum(1) + 1e-30).log()
