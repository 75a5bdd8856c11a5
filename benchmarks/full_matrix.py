"""The default network as one would first write it: all N x N ordered pairs, batch first, no packing.

The reference that the fast form is compared with: the same weights, the same function, float32.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.models import EquivariantGraphTransformer, Prediction
from moldiff.models.denoiser import Context, as_features
from moldiff.nn.geometry import centred
from moldiff.nn.graph_transformer_block import EPSILON, GraphTransformerBlock
from moldiff.nn.pairs import Pairs


class FullMatrixTransformer(EquivariantGraphTransformer):
    """Computes what `EquivariantGraphTransformer` computes, from pair features (B, N, N, K)."""

    def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
        """See `Denoiser.forward`."""
        pairs, mask = Pairs.of(noisy.mask), noisy.mask
        n, k = mask.shape[1], self.num_elements
        pos = centred(noisy.pos, mask) / self.length_scale
        old = (context.previous if context else None) or Prediction(torch.zeros_like(pos))
        old_pos = centred(old.pos, mask) / self.length_scale
        nodes = [as_features(x, pos, k, n) for x in (noisy.atom_types, old.atom_types)]
        nodes.insert(1, as_features(noisy.charges, pos, self.num_charges, n))
        scalars = torch.stack([t, mask.sum(1).to(pos.dtype) / 20], -1)[:, None].expand(-1, n, -1)
        s = self.node_in(torch.cat([*nodes, scalars], -1)) + self.time(t)[:, None]
        v = pos[..., None] * self.vector_in[0] + old_pos[..., None] * self.vector_in[1]
        edges = [
            pairs.full(as_features(x, pos, self.num_bonds, len(pairs.i))) for x in (noisy.bond_types, old.bond_types)
        ]
        edges += [self.basis(_distance(x[..., None]).squeeze(-1)) for x in (pos, old_pos)]
        e = self.pair_in(torch.cat(edges, -1))
        for block in self.blocks:
            assert isinstance(block, GraphTransformerBlock)
            s, v, e = _block(block, s, v, e, mask)
        node = self.node_out(self.norm_node(s))
        out = centred((v * self.vector_out).sum(-1), mask) * self.length_scale
        return Prediction(out, node[..., :k], node[..., k:], self.pair_out(self.norm_pair(e))[:, pairs.i, pairs.j])


def _distance(v: Tensor) -> Tensor:
    """Distances (B, N, N, C) of all pairs of vectors (B, N, 3, C)."""
    return torch.sqrt((v[:, :, None] - v[:, None]).square().sum(3) + EPSILON)


def _block(
    block: GraphTransformerBlock, s: Tensor, v: Tensor, e: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One block; see `GraphTransformerBlock`."""
    n, h = mask.shape[1], block.num_heads
    partner = (mask[:, :, None] & mask[:, None] & ~torch.eye(n, dtype=torch.bool))[..., None]
    count = mask.sum(1).to(s.dtype)[:, None, None]
    x = block.norm_attention(s)
    difference, distance = v[:, :, None] - v[:, None], _distance(v)
    ends = block.node_to_pair(x)
    seen = block.pair_up(torch.cat([F.rms_norm(e, e.shape[-1:], eps=1e-5), distance], -1))
    e = (e + block.pair_down(F.silu(seen + ends[:, :, None] + ends[:, None]))) * partner
    bias, weight = block.from_pair(e).split((h, v.shape[-1]), -1)
    q, k, u = (f(x).unflatten(-1, (h, -1)).transpose(1, 2) for f in (block.query, block.key, block.value))
    bias = bias * ~torch.eye(n, dtype=torch.bool)[..., None]
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]) + bias.permute(0, 3, 1, 2)
    attended = torch.softmax(scores.masked_fill(~mask[:, None, None], -1e4), -1) @ u
    s = s + block.attention_out(torch.cat([attended.transpose(1, 2).flatten(2), e.sum(2) / count], -1))
    dv = ((weight / (1 + distance) * partner)[:, :, :, None] * difference).sum(2) / count[..., None].sqrt()
    x = block.norm_ff(s)
    v = v + dv + block.vector_mix(dv) * torch.tanh(block.vector_gate(x)).unsqueeze(2)
    length = torch.sqrt(v.square().sum(2) + EPSILON)
    return s + block.ff_down(F.silu(block.ff_up(torch.cat([x, length], -1)))), v, e
