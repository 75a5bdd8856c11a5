"""What molecules are asked to be, as one vector each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.nn.embedding import GaussianBasis

_REACH = 4.0  # standard deviations on each side that the Gaussian bumps cover


class PropertyEmbedding(nn.Module):
    """Sums a vector for each property: a small network of its value, or a learned vector where it is not given."""

    def __init__(self, names: Sequence[str], width: int, num_bases: int = 16) -> None:
        super().__init__()
        self.names = tuple(names)
        self.basis = GaussianBasis(num_bases, cutoff=2 * _REACH)
        self.keys = keys = tuple(_key(name) for name in self.names)
        self.given = nn.ModuleDict(
            {key: nn.Sequential(nn.Linear(num_bases + 1, width), nn.SiLU(), nn.Linear(width, width)) for key in keys}
        )
        self.absent = nn.ParameterDict({key: nn.Parameter(torch.zeros(width)) for key in keys})

    def forward(self, values: Float[Tensor, "A C"]) -> Float[Tensor, "A D"]:
        """Embed deviations from the mean in standard deviations, in the order of the names; NaN = not given.

        Whatever the autocast in the precision of the values.
        """
        with torch.autocast(values.device.type, enabled=False):
            absent, x = values.isnan(), values.nan_to_num()
            features = torch.cat([x[..., None], self.basis(x + _REACH)], -1)
            vectors = [
                torch.where(absent[:, k, None], self.absent[key], self.given[key](features[:, k]))
                for k, key in enumerate(self.keys)
            ]
            return torch.nn.functional.silu(torch.stack(vectors).sum(0))


def _key(name: str) -> str:
    """What the weights of a property are called: its name, or another where PyTorch does not take that."""
    taken = any(hasattr(kind(), name) for kind in (nn.ModuleDict, nn.ParameterDict))
    escaped = name.replace("%", "%25").replace(".", "%2E")
    return f"%{escaped}" if taken or not name else escaped
