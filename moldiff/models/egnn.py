"""The E(n)-equivariant graph network of EDM."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.models.denoiser import Context, Denoiser, Prediction, as_features
from moldiff.nn.egnn_layer import EGNNLayer
from moldiff.nn.embedding import GaussianBasis
from moldiff.nn.geometry import centred
from moldiff.nn.pairs import Pairs


class EGNN(Denoiser):
    """Node scalars and coordinates, updated by messages over all pairs (Satorras 2021; Hoogeboom 2022).

    The defaults are EDM's for QM9. The output for the coordinates is how far the network has moved them, without the
    mean over the molecule, which suits a process that asks for the noise (`eps`). EDM has no bonds; if the noisy batch
    has some, they join the invariants of the pairs and are predicted from both atoms and their distance.
    """

    bears_bfloat16 = False  # squared distances go through the matrix products

    def __init__(
        self,
        vocabulary: Vocabulary,
        width: int = 256,
        num_layers: int = 9,
        coordinate_range: float = 15.0,
        self_conditioning: bool = False,
        num_bases: int = 16,
    ) -> None:
        """Sizes of the network.

        Args:
            vocabulary: the classes that it knows.
            width: node scalars.
            num_layers: layers of messages and coordinate updates.
            coordinate_range: bound of the weight of a coordinate difference in one layer.
            self_conditioning: whether the network reads an earlier estimate.
            num_bases: Gaussian bumps of a distance in that estimate.
        """
        super().__init__()
        self.num_elements, self.num_charges = len(vocabulary.elements), len(vocabulary.charges)
        self.num_bonds, self.self_conditioning = len(vocabulary.bond_orders), self_conditioning
        k, q, r = self.num_elements, self.num_charges, self.num_bonds
        node_width, edge_width = k + q + 1, r + 1
        if self_conditioning:
            self.basis = GaussianBasis(num_bases, cutoff=8.6)
            node_width, edge_width = node_width + k + q, edge_width + r + num_bases
        self.node_in, self.node_out = nn.Linear(node_width, width), nn.Linear(width, k + q)
        self.blocks = nn.ModuleList(EGNNLayer(width, edge_width, coordinate_range) for _ in range(num_layers))
        self.bond_node, self.bond_edge = nn.Linear(width, width), nn.Linear(edge_width + 1, width, bias=False)
        nn.init.uniform_(self.bond_edge.weight, -(width**-0.5), width**-0.5)  # its input holds squared distances
        self.bond_out = nn.Linear(width, r)

    def forward(self, noisy: MolBatch, t: Float[Tensor, " B"], context: Context | None = None) -> Prediction:
        """See `Denoiser.forward`."""
        pairs = Pairs.of(noisy.mask)
        start = centred(noisy.pos, noisy.mask)
        h, e = self._embed(noisy, start, t, context.previous if context else None, pairs)
        x = start
        for block in self.blocks:
            h, x = block(h, x, e, pairs)
        node = self.node_out(h).to(x.dtype)
        return Prediction(
            centred(x - start, noisy.mask),
            None if noisy.atom_types is None else node[..., : self.num_elements],
            None if noisy.charges is None else node[..., self.num_elements :],
            None if noisy.bond_types is None else self._bonds(h, x, e, pairs),
        )

    def _embed(
        self, noisy: MolBatch, pos: Tensor, t: Tensor, previous: Prediction | None, pairs: Pairs
    ) -> tuple[Tensor, Tensor]:
        """The first node scalars, with the time among them, and the constant invariants of the pairs."""
        n, p = noisy.mask.shape[1], pairs.i.shape[0]
        k, q, r = self.num_elements, self.num_charges, self.num_bonds
        nodes = [
            as_features(noisy.atom_types, pos, k, n),
            as_features(noisy.charges, pos, q, n),
            t.to(pos.dtype)[:, None, None].expand(-1, n, 1),
        ]
        edges = [_square(pos, pairs), as_features(noisy.bond_types, pos, r, p)]
        if self.self_conditioning:
            old = previous or Prediction(torch.zeros_like(pos))
            nodes += [as_features(old.atom_types, pos, k, n), as_features(old.charges, pos, q, n)]
            distance = torch.sqrt(_square(old.pos, pairs) + 1e-8).squeeze(-1)
            edges += [as_features(old.bond_types, pos, r, p), self.basis(distance)]
        return self.node_in(torch.cat(nodes, -1)), torch.cat(edges, -1)

    def _bonds(self, h: Tensor, x: Tensor, e: Tensor, pairs: Pairs) -> Float[Tensor, "B P R"]:
        """Logits from the sum over both atoms, the pair's invariants and its last distance."""
        a = self.bond_node(h)
        hidden = a[:, pairs.i] + a[:, pairs.j] + self.bond_edge(torch.cat([_square(x, pairs), e], -1))
        out: Tensor = self.bond_out(F.silu(hidden))
        return out.to(x.dtype)


def _square(pos: Float[Tensor, "B N 3"], pairs: Pairs) -> Float[Tensor, "B P 1"]:
    """Squared distances of all packed pairs, Å²."""
    return (pos[:, pairs.i] - pos[:, pairs.j]).square().sum(-1, keepdim=True)
