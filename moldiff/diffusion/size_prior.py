"""How many atoms a new molecule gets."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor


class SizePrior:
    """Draws sizes with the frequencies of the training molecules (Hoogeboom 2022, section 4)."""

    def __init__(self, histogram: Mapping[int, float]) -> None:
        """`histogram`: number of atoms -> number of molecules, or a weight."""
        if not histogram or min(histogram) < 1 or sum(histogram.values()) <= 0:
            raise ValueError(
                f"the size histogram must hold sizes >= 1 with counts: got {dict(histogram)}; compute it anew"
            )
        sizes = sorted(histogram)
        self.sizes = torch.tensor(sizes)
        counts = torch.tensor([histogram[n] for n in sizes], dtype=torch.float64)
        self.cumulative = torch.cumsum(counts / counts.sum(), 0)

    def __call__(self, uniform: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Sizes from uniform numbers in (0, 1), by inverting the cumulative histogram."""
        place = torch.searchsorted(self.cumulative, uniform.double().cpu())
        return self.sizes[place.clamp(max=len(self.sizes) - 1)]
