"""EDM's network as EDM's code runs it: a list of all N x N edges of the padded batch, concatenated features, float32.

The same weights and function as `EGNN`, which computes the first layer of every message per atom instead of per edge.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.models import EGNN, Prediction
from moldiff.models.denoiser import Context, as_features
from moldiff.nn.egnn_layer import EdgeNetwork, EGNNLayer
from moldiff.nn.geometry import centred


class EdgeListEGNN(EGNN):
    """Computes what `EGNN` computes for batches without bonds and without self-conditioning."""

    def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
        """See `Denoiser.forward`."""
        b, n = noisy.mask.shape
        start = centred(noisy.pos, noisy.mask)
        parts = [as_features(noisy.atom_types, start, self.num_elements, n)]
        parts += [as_features(noisy.charges, start, self.num_charges, n), t[:, None, None].expand(-1, n, 1)]
        h, x = self.node_in(torch.cat(parts, -1)).flatten(0, 1), start.flatten(0, 1)
        first = torch.arange(b)[:, None, None] * n
        i = (first + torch.arange(n)[:, None]).expand(b, n, n).flatten()
        j = (first + torch.arange(n)).expand(b, n, n).flatten()
        edge = (noisy.mask.flatten()[i] & noisy.mask.flatten()[j] & (i != j))[:, None].to(x.dtype)
        no_bonds = x.new_zeros(len(i), self.num_bonds)
        at_start = torch.cat([(x[i] - x[j]).square().sum(-1, keepdim=True), no_bonds], -1)
        for layer in self.blocks:
            assert isinstance(layer, EGNNLayer)
            h, x = _layer(layer, h, x, at_start, edge, i, j)
        node = self.node_out(h).unflatten(0, (b, n))
        types = None if noisy.atom_types is None else node[..., : self.num_elements]
        charges = None if noisy.charges is None else node[..., self.num_elements :]
        return Prediction(centred(x.unflatten(0, (b, n)) - start, noisy.mask), types, charges, None)


def _layer(
    layer: EGNNLayer, h: Tensor, x: Tensor, at_start: Tensor, edge: Tensor, i: Tensor, j: Tensor
) -> tuple[Tensor, Tensor]:
    """One layer on the edges (i, j); see `EGNNLayer`."""
    difference = x[i] - x[j]
    square = difference.square().sum(-1, keepdim=True)
    edges = torch.cat([square, at_start], -1)
    message = _message(layer.message, h, edges, i, j)
    message = message * torch.sigmoid(layer.gate(message)) * edge
    pooled = torch.zeros_like(h).scatter_add(0, i[:, None].expand_as(message), message)
    h = h + layer.node_down(F.silu(layer.node_up(torch.cat([h, pooled], -1))))
    weight = torch.tanh(layer.coordinate_weight(_message(layer.coordinate_message, h, edges, i, j)))
    moves = difference / (torch.sqrt(square + 1e-8) + 1) * weight * layer.coordinate_range * edge
    return h, x + torch.zeros_like(x).scatter_add(0, i[:, None].expand_as(moves), moves)


def _message(network: EdgeNetwork, h: Tensor, edges: Tensor, i: Tensor, j: Tensor) -> Tensor:
    weight = torch.cat([network.receiver.weight, network.sender.weight, network.edge.weight], 1)
    hidden = F.silu(F.linear(torch.cat([h[i], h[j], edges], -1), weight, network.receiver.bias))
    return F.silu(network.out(hidden))
