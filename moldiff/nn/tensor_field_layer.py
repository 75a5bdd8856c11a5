"""One layer of a tensor-field network: tensor products with spherical harmonics, gates, norms (by e3nn)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from e3nn import o3
from e3nn.nn import Gate
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.nn.pairs import Pairs


class TensorFieldLayer(nn.Module):
    """Updates node features that turn as their irreps say, by messages from all other atoms.

    A message is the tensor product of the sender's features with the spherical harmonics of the direction, each path
    and channel weighted by a network of the pair's invariants and both atoms' scalars (Thomas 2018; Batzner 2022,
    NequIP). Their sum joins the node's own features and passes a gate (Weiler 2018); all is added to the features.
    """

    def __init__(self, irreps: str, message_irreps: str, harmonics: str, edge_width: int, radial_width: int) -> None:
        """Irreps of the nodes (scalars first), of what they send and of the harmonics; widths of the pair network."""
        super().__init__()
        node, sent, directions = o3.Irreps(irreps), o3.Irreps(message_irreps), o3.Irreps(harmonics)
        self.num_scalars, gated = node[0].mul, node[1:]
        received, paths = product_paths(sent, directions, node)
        self.norm = EquivariantNorm(irreps)
        self.send = o3.Linear(node, sent)
        self.product = o3.TensorProduct(sent, directions, received, paths, shared_weights=False, internal_weights=False)
        self.gate = Gate(
            node[:1], [F.silu], o3.Irreps([(gated.num_irreps, "0e")]), [torch.sigmoid], gated
        )  # scalars, their activation, gates, their activation, what is gated
        self.receive = o3.Linear(received.simplify(), self.gate.irreps_in)
        self.keep = o3.Linear(node, self.gate.irreps_in)
        self.out = o3.Linear(self.gate.irreps_out, node)
        with torch.no_grad():
            self.out.weight.mul_(0.1)  # a layer changes little at first
        self.from_node = nn.Linear(self.num_scalars, radial_width)
        self.from_edge = nn.Linear(edge_width, radial_width, bias=False)
        self.weights = nn.Linear(radial_width, self.product.weight_numel)
        self.parity: Tensor  # the harmonics of the opposite direction are these times the harmonics
        parity = torch.cat([torch.full((block.dim,), float(block.ir.p)) for block in directions])
        self.register_buffer("parity", parity, persistent=False)

    def forward(
        self,
        x: Float[Tensor, "B N F"],
        y: Float[Tensor, "B P H"],
        e: Float[Tensor, "B P E"],
        pairs: Pairs,
    ) -> Float[Tensor, "B N F"]:
        """New features. `y`: harmonics of r_i - r_j of the packed pairs (i, j); `e`: invariants of the pairs.

        Features stay in their own precision, whatever the autocast: only the pair network follows it.
        """
        z = self.norm(x)
        weights = self._weights(z[..., : self.num_scalars], e, pairs).to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            sent = self.send(z)
            to_i = self.product(sent[:, pairs.j], y, weights)
            to_j = self.product(sent[:, pairs.i], y * self.parity, weights)
            received = torch.zeros_like(x[..., :1]).expand(-1, -1, to_i.shape[-1]).clone()
            received = received.index_add_(1, pairs.i, to_i).index_add_(1, pairs.j, to_j)
            received = received / pairs.mask.sum(1).clamp(min=1).sqrt()[:, None, None].to(x.dtype)
            out: Tensor = x + self.out(self.gate(self.receive(received) + self.keep(z)))
            return out

    def _weights(self, scalars: Tensor, e: Tensor, pairs: Pairs) -> Float[Tensor, "B P W"]:
        """The weight of each path and channel for every pair, zero where an atom of it is padding."""
        a = self.from_node(scalars)
        hidden = F.silu(self.from_edge(e) + a[:, pairs.i] + a[:, pairs.j])
        out: Tensor = self.weights(hidden) * pairs.pair_mask[..., None]
        return out


class EquivariantNorm(nn.Module):
    """Layer norm of the scalars; other irreps are divided by their root mean square over channels and components."""

    def __init__(self, irreps: str) -> None:
        """`irreps`: the scalars (0e) must stand first."""
        super().__init__()
        blocks = o3.Irreps(irreps)
        self.widths = [block.dim for block in blocks[1:]]
        self.scalars = nn.LayerNorm(blocks[0].mul)
        self.gains = nn.ParameterList(nn.Parameter(torch.ones(block.mul, 1)) for block in blocks[1:])

    def forward(self, x: Float[Tensor, "*S F"]) -> Float[Tensor, "*S F"]:
        """Features of the same irreps, of size one."""
        scalars, *rest = torch.split(x, [*self.scalars.normalized_shape, *self.widths], -1)
        out = [self.scalars(scalars).to(x.dtype)]
        for block, gain in zip(rest, self.gains, strict=True):
            scaled = block * torch.rsqrt(block.square().mean(-1, keepdim=True) + 1e-4)
            shape = (*x.shape[:-1], len(gain), block.shape[-1] // len(gain))
            out.append((scaled.reshape(shape) * gain).flatten(-2))
        return torch.cat(out, -1)


def product_paths(
    sent: o3.Irreps, directions: o3.Irreps, node: o3.Irreps
) -> tuple[o3.Irreps, list[tuple[int, int, int, str, bool]]]:
    """The irreps of the messages, equal ones side by side, and the paths to them, channel by channel ("uvu").

    Only irreps that the nodes have are made, so a network of natural parity has no pseudoscalars or pseudovectors.
    """
    kept = {block.ir for block in node}
    found = [
        (mul, ir, a, b)
        for a, (mul, ir_a) in enumerate(sent)
        for b, (_, ir_b) in enumerate(directions)
        for ir in ir_a * ir_b
        if ir in kept
    ]
    found.sort(key=lambda path: path[1])
    received = o3.Irreps([(mul, ir) for mul, ir, _, _ in found])
    return received, [(a, b, place, "uvu", True) for place, (_, _, a, b) in enumerate(found)]
