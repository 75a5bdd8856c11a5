"""How atoms see the pocket: attention over the nearest pocket nodes, with distances and directions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.nn.embedding import GaussianBasis
from moldiff.nn.graph_transformer_block import EPSILON
from moldiff.nn.neighbours import Neighbours

_PLACES = 2  # positions of an atom, mixed from its vectors, from which distances are taken


class PocketAttention(nn.Module):
    """Updates scalars and vectors of atoms from their nearest pocket nodes; features in the layout of `AtomFirst`.

    What an atom sees of a node: the distances from positions that are mixed from its vectors, the cosines between the
    way to the node and the node's vectors, both scalars. From it come attention, what is attended to, and the weights
    of the ways to the nodes and of the nodes' vectors, which are added to the atom's vectors.
    """

    def __init__(
        self,
        width: int,
        vector_channels: int,
        pocket_width: int,
        pocket_vectors: int,
        cutoff: float,
        hidden_width: int = 48,
        num_heads: int = 4,
        num_bases: int = 16,
    ) -> None:
        """`cutoff`: the last centre of the Gaussian bases, in the unit of the distances."""
        super().__init__()
        d, c, p, v, h = width, vector_channels, pocket_width, pocket_vectors, hidden_width
        self.num_heads, self.num_vectors = num_heads, v
        self.norm = nn.LayerNorm(d)
        self.basis = GaussianBasis(num_bases, cutoff)
        self.places = nn.Parameter(torch.zeros(_PLACES, c))
        nn.init.normal_(self.places, std=1 / math.sqrt(c))
        self.from_atom, self.from_node = nn.Linear(d, h), nn.Linear(p, h, bias=False)
        self.from_way = nn.Linear(_PLACES * num_bases + v, h, bias=False)
        self.score, self.value = nn.Linear(h, num_heads), nn.Linear(h, 2 * h)
        self.weight = nn.Linear(h, c + v)
        self.out, self.mix = nn.Linear(2 * h, d), nn.Linear(v, c, bias=False)
        for layer in (self.out, self.weight):
            nn.init.normal_(layer.weight, std=0.02 / math.sqrt(8))
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        s: Float[Tensor, "N B D"],
        v: Float[Tensor, "N 3 B C"],
        nodes: Float[Tensor, "A M P"],
        near: Neighbours,
    ) -> tuple[Float[Tensor, "N B D"], Float[Tensor, "N 3 B C"]]:
        """New scalars and vectors. Vectors stay in their own precision, whatever the autocast."""
        x = self.norm(s)
        with torch.autocast(v.device.type, enabled=False):
            way = near.pos.unsqueeze(-1) - F.linear(v, self.places.to(v.dtype)).unsqueeze(1)  # (N, K, 3, B, places)
            distance = torch.sqrt(way.square().sum(2) + EPSILON)
            unit = way[..., :1] / distance[..., :1].unsqueeze(2)
            cosines = (unit * near.vectors).sum(2)
        seen = self.from_way(torch.cat([self.basis(distance).flatten(-2), cosines], -1))
        hidden = F.silu(seen + self.from_atom(x).unsqueeze(1) + near.gather(self.from_node(nodes)))
        score = self.score(hidden).float().masked_fill(~near.mask, -1e4)
        attention = (torch.softmax(score, 1) * near.mask).to(hidden.dtype)  # nothing, if there are no nodes
        value = self.value(hidden).unflatten(-1, (self.num_heads, -1))
        s = s + self.out((attention.unsqueeze(-1) * value).sum(1).flatten(-2)) * near.mask.any(1)
        weight = self.weight(hidden).to(v.dtype) * near.mask
        with torch.autocast(v.device.type, enabled=False):
            along, turned = weight[..., : -self.num_vectors], weight[..., -self.num_vectors :]
            ways = torch.einsum("nkbc,nkxb->nxbc", along, unit[..., 0])
            others = self.mix((turned.unsqueeze(2) * near.vectors).sum(1))
            v = v + (ways + others) / math.sqrt(near.most)
        return s, v
