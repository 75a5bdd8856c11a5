"""One block of the equivariant graph transformer: pairs, attention, vectors, feed-forward."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.nn.pairs import Pairs

EPSILON = 1e-4  # inside square roots of squared lengths: keeps the gradient finite at zero


class GraphTransformerBlock(nn.Module):
    """Updates node scalars s, node vectors v and packed pair features e.

    The pair features see the distances in all vector channels; attention takes a bias from the pairs; vectors move
    along differences to other atoms' vectors with weights from the pairs; the feed-forward part reads the vectors'
    lengths.
    """

    def __init__(self, width: int, pair_width: int, vector_channels: int, num_heads: int, expansion: int) -> None:
        super().__init__()
        d, p, c = width, pair_width, vector_channels
        self.num_heads, self.value_width = num_heads, d // 4
        self.norm_attention, self.qkv = nn.LayerNorm(d), nn.Linear(d, 3 * d, bias=False)
        self.to_pair, self.norm_pair, self.distance_to_pair = nn.Linear(d, p), nn.LayerNorm(p), nn.Linear(c, p)
        self.pair_up, self.pair_down = nn.Linear(p, 2 * p), nn.Linear(2 * p, p)
        self.from_pair = nn.Linear(p, num_heads + c + self.value_width)
        self.attention_out = nn.Linear(d + self.value_width, d)
        self.norm_ff, self.ff_up, self.ff_down = (
            nn.LayerNorm(d),
            nn.Linear(d + c, expansion * d),
            nn.Linear(expansion * d, d),
        )
        self.vector_gate, self.vector_mix = nn.Linear(d, c), nn.Linear(c, c, bias=False)
        for layer in (self.attention_out, self.ff_down, self.pair_down):
            nn.init.normal_(layer.weight, std=0.02 / math.sqrt(8))
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        s: Float[Tensor, "B N D"],
        v: Float[Tensor, "B N 3 C"],
        e: Float[Tensor, "B P E"],
        pairs: Pairs,
    ) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N 3 C"], Float[Tensor, "B P E"]]:
        """Vectors stay in their own precision (coordinates are kept in float32 or better)."""
        h, c = self.num_heads, v.shape[-1]
        x = self.norm_attention(s)
        difference = v[:, pairs.i] - v[:, pairs.j]
        distance = torch.sqrt(difference.square().sum(2) + EPSILON)
        a = self.to_pair(x)
        hidden = self.norm_pair(e) + self.distance_to_pair(distance) + a[:, pairs.i] + a[:, pairs.j]
        e = e + self.pair_down(F.silu(self.pair_up(hidden)))
        bias, weight, value = self.from_pair(e).split((h, c, self.value_width), -1)
        pooled = pairs.sum_symmetric(value * pairs.pair_mask[..., None]) / pairs.mask.sum(1)[:, None, None]
        s = s + self.attention_out(torch.cat([self._attention(x, bias, pairs), pooled.to(x.dtype)], -1))
        weight = weight.to(v.dtype) / (1 + distance) * pairs.pair_mask[..., None]
        count = pairs.mask.sum(1).to(v.dtype)[:, None, None, None]
        dv = pairs.sum_antisymmetric(weight.unsqueeze(2) * difference) / count.sqrt()
        x = self.norm_ff(s)
        gate = torch.tanh(self.vector_gate(x).to(v.dtype)).unsqueeze(2)
        v = v + dv + self.vector_mix(dv).to(v.dtype) * gate
        length = torch.sqrt(v.square().sum(2) + EPSILON)
        s = s + self.ff_down(F.silu(self.ff_up(torch.cat([x, length.to(x.dtype)], -1))))
        return s, v, e

    def _attention(self, x: Float[Tensor, "B N D"], bias: Float[Tensor, "B P H"], pairs: Pairs) -> Tensor:
        """Multi-head attention whose logits take a bias per pair; padded atoms are no keys."""
        q, k, u = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        logits = pairs.full(bias).permute(0, 3, 1, 2).masked_fill(~pairs.mask[:, None, None, :], -1e4)
        out = F.scaled_dot_product_attention(q, k, u, attn_mask=logits.to(q.dtype))
        return out.transpose(1, 2).flatten(2)
