"""One layer of the E(n)-equivariant graph network, as EDM uses it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.nn.pairs import Pairs


class EGNNLayer(nn.Module):
    """Updates node scalars by gated messages, then coordinates along the differences to other atoms.

    Satorras 2021, eq. 3-6, with EDM's choices (Hoogeboom 2022, appendix B): messages are gated by a sigmoid of
    themselves and summed; differences are divided by their length plus one; coordinate weights pass through a tanh.
    """

    def __init__(self, width: int, edge_width: int, coordinate_range: float = 15.0) -> None:
        """`edge_width`: invariants per pair besides the squared distance; `coordinate_range`: bound of the weights."""
        super().__init__()
        self.coordinate_range = coordinate_range
        self.message = EdgeNetwork(width, edge_width + 1)
        self.gate = nn.Linear(width, 1)
        self.node_up, self.node_down = nn.Linear(2 * width, width), nn.Linear(width, width)
        self.coordinate_message = EdgeNetwork(width, edge_width + 1)
        self.coordinate_weight = nn.Linear(width, 1, bias=False)
        nn.init.xavier_uniform_(self.coordinate_weight.weight, gain=1e-3)

    def forward(
        self,
        h: Float[Tensor, "B N D"],
        x: Float[Tensor, "B N 3"],
        e: Float[Tensor, "B P E"],
        pairs: Pairs,
    ) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N 3"]]:
        """New scalars and coordinates (Å, in their own precision); `e` are the invariants of the packed pairs."""
        difference = x[:, :, None] - x[:, None]
        square = difference.square().sum(-1, keepdim=True)
        edges = torch.cat([square, pairs.full(e).to(x.dtype)], -1)
        partner = pairs.full(pairs.pair_mask[..., None].to(x.dtype)).squeeze(-1)
        message = self.message(h, edges)
        gate = torch.sigmoid(self.gate(message)).squeeze(-1) * partner.to(message.dtype)
        pooled = (gate.unsqueeze(2) @ message).squeeze(2)
        h = h + self.node_down(F.silu(self.node_up(torch.cat([h, pooled], -1))))
        weight = torch.tanh(self.coordinate_weight(self.coordinate_message(h, edges))).to(x.dtype)
        unit = difference / (torch.sqrt(square + 1e-8) + 1)
        return h, x + (unit * weight * self.coordinate_range * partner[..., None]).sum(2)


class EdgeNetwork(nn.Module):
    """A two-layer network of both nodes and the invariants of every ordered pair: m_ij = f(h_i, h_j, e_ij).

    The first layer is linear in its three parts, so the parts of the nodes are computed once per node. Its weights
    start as those of one layer on all three side by side, so that squared distances do not drown the rest.
    """

    def __init__(self, width: int, edge_width: int) -> None:
        super().__init__()
        self.receiver, self.sender = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.edge, self.out = nn.Linear(edge_width, width, bias=False), nn.Linear(width, width)
        bound = 1 / math.sqrt(2 * width + edge_width)
        for parameter in (self.receiver.weight, self.receiver.bias, self.sender.weight, self.edge.weight):
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, h: Float[Tensor, "B N D"], edges: Float[Tensor, "B N N E"]) -> Float[Tensor, "B N N D"]:
        """Messages from the atoms of the third axis to those of the second."""
        hidden = self.edge(edges) + self.receiver(h).unsqueeze(2) + self.sender(h).unsqueeze(1)
        return F.silu(self.out(F.silu(hidden)))
