"""One layer of the pocket encoder: tensor products along the edges to the nearest nodes, gates, norms (by e3nn)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from e3nn import o3
from e3nn.nn import Gate
from jaxtyping import Float, Int
from torch import Tensor, nn

from moldiff.nn.tensor_field_layer import EquivariantNorm, product_paths


class PocketLayer(nn.Module):
    """Updates node features of given irreps by messages from each node's K neighbours.

    A message is the tensor product of the neighbour's features with the spherical harmonics of the direction, weighted
    by a network of the distance and both nodes' scalars (Thomas 2018; Batzner 2022, NequIP); see `TensorFieldLayer`,
    which does the same for all pairs of a molecule.
    """

    def __init__(
        self, irreps: str, message_irreps: str, harmonics: str, num_bases: int, radial_width: int, num_neighbours: int
    ) -> None:
        """Irreps of the nodes (scalars first), of what they send and of the harmonics; widths of the edge network.

        `num_neighbours`: of a node in a large pocket; messages are scaled by it, however many there are.
        """
        super().__init__()
        self.num_neighbours = num_neighbours
        node, sent, directions = o3.Irreps(irreps), o3.Irreps(message_irreps), o3.Irreps(harmonics)
        self.num_scalars, gated = node[0].mul, node[1:]
        received, paths = product_paths(sent, directions, node)
        self.norm = EquivariantNorm(irreps)
        self.send = o3.Linear(node, sent)
        self.product = o3.TensorProduct(sent, directions, received, paths, shared_weights=False, internal_weights=False)
        self.gate = Gate(node[:1], [F.silu], o3.Irreps([(gated.num_irreps, "0e")]), [torch.sigmoid], gated)
        self.receive = o3.Linear(received.simplify(), self.gate.irreps_in)
        self.keep = o3.Linear(node, self.gate.irreps_in)
        self.out = o3.Linear(self.gate.irreps_out, node)
        self.from_nodes = nn.Linear(self.num_scalars, 2 * radial_width)
        self.from_distance = nn.Linear(num_bases, radial_width, bias=False)
        self.weights = nn.Linear(radial_width, self.product.weight_numel)

    def forward(
        self,
        x: Float[Tensor, "T F"],
        neighbours: Int[Tensor, "T K"],
        harmonics: Float[Tensor, "T K H"],
        bases: Float[Tensor, "T K R"],
        there: Float[Tensor, "T K 1"],
    ) -> Float[Tensor, "T F"]:
        """New features, whatever the autocast in float32. `there`: 1 for a neighbour, 0 if there are fewer than K."""
        with torch.autocast(x.device.type, enabled=False):
            z = self.norm(x)
            own, other = self.from_nodes(z[:, : self.num_scalars]).chunk(2, -1)
            hidden = F.silu(self.from_distance(bases) + own[:, None] + other[neighbours])
            messages = self.product(self.send(z)[neighbours], harmonics, self.weights(hidden) * there)
            received = messages.sum(1) / math.sqrt(self.num_neighbours)
            out: Tensor = x + self.out(self.gate(self.receive(received) + self.keep(z)))
            return out
