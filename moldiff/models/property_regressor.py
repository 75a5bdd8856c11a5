"""A network that says what properties a molecule has: the judge of molecules that were made to have some."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.models.denoiser import as_features
from moldiff.nn.atom_first import AtomFirst
from moldiff.nn.embedding import GaussianBasis
from moldiff.nn.geometry import centred
from moldiff.nn.graph_transformer_block import EPSILON, GraphTransformerBlock, square


class PropertyRegressor(nn.Module):
    """Invariant properties from elements and coordinates alone, by the blocks of `EquivariantGraphTransformer`.

    Bonds and charges are not read, so that molecules of any origin can be judged.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        properties: Sequence[str],
        width: int = 128,
        pair_width: int = 48,
        vector_channels: int = 16,
        num_heads: int = 8,
        num_blocks: int = 6,
        expansion: int = 3,
        num_bases: int = 32,
        length_scale: float = 1.72,
    ) -> None:
        """Sizes as in `EquivariantGraphTransformer`; `properties`: names of what is predicted.

        Raises:
            ValueError: if there is no property.
        """
        super().__init__()
        if not properties:
            raise ValueError("got no properties; name at least one that the data have")
        self.properties, self.num_elements = tuple(properties), len(vocabulary.elements)
        self.length_scale = length_scale
        self.basis = GaussianBasis(num_bases, cutoff=8.6 / length_scale)
        self.node_in = nn.Linear(self.num_elements + 1, width)
        self.pair_in = nn.Linear(num_bases, pair_width)
        self.vector_in = nn.Parameter(0.5 * torch.randn(vector_channels))
        self.blocks = nn.ModuleList(
            GraphTransformerBlock(width, pair_width, vector_channels, num_heads, expansion) for _ in range(num_blocks)
        )
        self.norm, self.atom_out = nn.LayerNorm(width), nn.Linear(width, width)
        self.out = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, len(self.properties)))

    def forward(self, batch: MolBatch) -> Float[Tensor, "B C"]:
        """The properties, in the order of their names, as deviations from the mean in standard deviations."""
        tables = AtomFirst.of(batch.mask)
        pos = centred(batch.pos, batch.mask) / self.length_scale
        elements = as_features(batch.atom_types, pos, self.num_elements, pos.shape[1]).transpose(0, 1)
        count = tables.count.to(pos.dtype) / 20
        s = self.node_in(torch.cat([elements, count.expand(len(elements), -1, -1)], -1))
        s = s.to(pos.dtype)  # sums of many terms, whatever the autocast
        here = pos.permute(1, 2, 0)[..., None]  # (N, 3, B, 1)
        v = here * self.vector_in
        distance = torch.sqrt(square(tables.difference(here)) + EPSILON).squeeze(-1)
        e = self.pair_in(self.basis(distance))
        for block in self.blocks:
            s, v, e = block(s, v, e, tables)
        with torch.autocast(pos.device.type, enabled=False):
            x = F.silu(self.atom_out(self.norm(s.to(pos.dtype))))
            total = (x if tables.atoms is None else x * tables.atoms).sum(0) / 20
            out: Tensor = self.out(torch.cat([total, total / count], -1))
            return out
