"""One block of the equivariant graph transformer: pairs, attention, vectors, feed-forward."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.nn.atom_first import AtomFirst
from moldiff.nn.rms_norm import rms_norm

EPSILON = 1e-4  # inside square roots of squared lengths: keeps the gradient finite at zero
_LANES = 64  # a multiple of the numbers that a processor's vector register holds


class GraphTransformerBlock(nn.Module):
    """Updates node scalars s, node vectors v and packed pair features e, all in the layout of `AtomFirst`.

    The pair features see the distances in all vector channels; attention takes a bias from the pairs; vectors move
    along differences to other atoms' vectors with weights from the pairs; the feed-forward part reads the vectors'
    lengths.
    """

    def __init__(self, width: int, pair_width: int, vector_channels: int, num_heads: int, expansion: int) -> None:
        super().__init__()
        d, p, c = width, pair_width, vector_channels
        self.num_heads = num_heads
        self.norm_attention = nn.LayerNorm(d)
        self.query, self.key, self.value = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.node_to_pair, self.pair_up, self.pair_down = (
            nn.Linear(d, 2 * p),
            nn.Linear(p + c, 2 * p, bias=False),
            nn.Linear(2 * p, p),
        )
        self.from_pair = nn.Linear(p, num_heads + c)
        self.attention_out = nn.Linear(d + p, d)
        self.norm_ff = nn.LayerNorm(d)
        self.ff_up, self.ff_down = nn.Linear(d + c, expansion * d), nn.Linear(expansion * d, d)
        self.vector_gate, self.vector_mix = nn.Linear(d, c), nn.Linear(c, c, bias=False)
        for layer in (self.attention_out, self.ff_down, self.pair_down):
            nn.init.normal_(layer.weight, std=0.02 / math.sqrt(8))
            nn.init.zeros_(layer.bias)

    @torch.no_grad()
    def silence(self) -> None:
        """Let the block change nothing until it is trained, so that a network can be made deeper."""
        for layer in (self.attention_out, self.ff_down, self.pair_down):
            layer.weight.zero_()
            layer.bias.zero_()
        self.from_pair.weight[self.num_heads :].zero_()  # weights of the differences of vectors
        self.from_pair.bias[self.num_heads :].zero_()

    def forward(
        self,
        s: Float[Tensor, "N B D"],
        v: Float[Tensor, "N 3 B C"],
        e: Float[Tensor, "P B E"],
        tables: AtomFirst,
    ) -> tuple[Float[Tensor, "N B D"], Float[Tensor, "N 3 B C"], Float[Tensor, "P B E"]]:
        """Vectors stay in their own precision (coordinates are kept in float32 or better)."""
        n, h = len(s), self.num_heads
        x = self.norm_attention(s).to(e.dtype)
        difference = tables.difference(v)
        distance = torch.sqrt(square(difference) + EPSILON)
        seen = self.pair_up(torch.cat([rms_norm(e), distance.to(e.dtype)], -1))
        e = e + self.pair_down(F.silu(tables.add_ends(seen, self.node_to_pair(x))))
        if tables.pairs is not None:
            e = e * tables.pairs
        out = self.from_pair(e)
        bias, weight = out[..., :h], out[..., h:]
        pooled = tables.sum_symmetric(e, n) / tables.count.to(e.dtype)
        s = s + self.attention_out(torch.cat([self._attention(x, bias, tables), pooled], -1))
        weight = weight.to(v.dtype) / (1 + distance)
        if tables.pairs is not None:
            weight = weight * tables.pairs
        dv = tables.sum_antisymmetric(weight.unsqueeze(1) * difference, n) / tables.count.to(v.dtype).sqrt()
        x = self.norm_ff(s).to(e.dtype)
        v = v + dv + self.vector_mix(dv).to(v.dtype) * torch.tanh(self.vector_gate(x).to(v.dtype)).unsqueeze(1)
        length = torch.sqrt(square(v) + EPSILON)
        s = s + self.ff_down(F.silu(self.ff_up(torch.cat([x, length.to(x.dtype)], -1))))
        return s, v, e

    def _attention(self, x: Float[Tensor, "N B D"], bias: Float[Tensor, "P B H"], tables: AtomFirst) -> Tensor:
        """Multi-head attention whose logits take a bias per pair; padded atoms are no keys."""
        n, b, d = x.shape
        q, k, u = (
            layer(x).view(n, b * self.num_heads, -1).transpose(0, 1) for layer in (self.query, self.key, self.value)
        )
        bias = tables.full(bias, n)
        if tables.atoms is not None:
            bias = bias.masked_fill(~tables.atoms.unsqueeze(1), -1e4)
        return attend(q, k, u, bias.flatten(2)).transpose(0, 1).reshape(n, b, d)


def attend(
    q: Float[Tensor, "L N K"], k: Float[Tensor, "L N K"], u: Float[Tensor, "L N K"], bias: Float[Tensor, "N N L"]
) -> Float[Tensor, "L N K"]:
    """Scaled dot-product attention; `bias`: added to the scores of (key, query).

    torch's own kernel is the best on a GPU. On a CPU it takes several times as long for molecules as plain products
    with a softmax along the first axis, where the processor's vectors lie along molecules and heads.
    """
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, u, attn_mask=bias.permute(2, 1, 0).to(q.dtype))
    n = q.shape[1]
    products = torch.bmm(k.contiguous(), (q.contiguous() / math.sqrt(q.shape[-1])).transpose(1, 2))
    scores = (products.flatten(1).t().contiguous() + bias.flatten(0, 1)).view(n, -1)
    columns = scores.shape[1]
    if columns % _LANES:  # numbers left over are rounded otherwise: results would hang on the size of the batch
        scores = F.pad(scores, (0, -columns % _LANES))
    weights = torch.softmax(scores, 0, dtype=scores.dtype)[:, :columns].reshape(n * n, -1)
    weights = weights.t().contiguous().view(-1, n, n).to(u.dtype)
    return torch.bmm(weights.transpose(1, 2), u.contiguous())


def square(v: Float[Tensor, "L 3 B C"]) -> Float[Tensor, "L B C"]:
    """Squared lengths of vectors, without a reduction over a short axis."""
    x, y, z = v.unbind(1)
    return torch.addcmul(torch.addcmul(x * x, y, y), z, z)
