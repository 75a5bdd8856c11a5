"""A tensor-field network: features of higher angular momentum, coupled by Clebsch-Gordan products (e3nn)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.models.denoiser import Context, Denoiser, Prediction, as_features
from moldiff.nn.embedding import GaussianBasis, TimeEmbedding
from moldiff.nn.geometry import centred
from moldiff.nn.pairs import Pairs


class TensorFieldNetwork(Denoiser):
    """Scalars, vectors and second-order tensors on the atoms, messages between all atoms of a molecule.

    Reflections are kept by the parity of the irreps. Vectors start from the centred coordinates. Bonds are predicted
    from symmetric combinations of both atoms' scalars with the distances in the noisy and the predicted coordinates.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        irreps: str = "128x0e+64x1o+32x2e",
        message_irreps: str = "32x0e+16x1o+8x2e",
        num_layers: int = 5,
        radial_width: int = 128,
        num_bases: int = 16,
        length_scale: float = 1.72,
        self_conditioning: bool = True,
    ) -> None:
        """Sizes of the network.

        Args:
            vocabulary: the classes that it knows.
            irreps: node features; first scalars (0e), then others with 1o among them, up to l = 2 or more.
            message_irreps: what an atom sends to the others; tensor products are taken of these, so they set the cost.
            num_layers: layers of messages.
            radial_width: invariants of a pair, from which the weights of the tensor products are made.
            num_bases: Gaussian bumps of a distance.
            length_scale: unit of length inside the network, Å.
            self_conditioning: whether the network reads an earlier estimate.
        """
        from e3nn import o3  # here, not above: it takes a second to import, and only this network needs it

        from moldiff.nn.tensor_field_layer import EquivariantNorm, TensorFieldLayer

        super().__init__()
        node = o3.Irreps(irreps)
        if not node[0].ir.is_scalar() or "1o" not in node or node.simplify() != node:
            raise ValueError(
                f"irreps: got {irreps}; expected scalars first, 1o among the rest, as in 64x0e+32x1o+16x2e"
            )
        self.num_elements, self.num_charges = len(vocabulary.elements), len(vocabulary.charges)
        self.num_bonds = len(vocabulary.bond_orders)
        self.num_scalars, self.length_scale, self.self_conditioning = node[0].mul, length_scale, self_conditioning
        k, q, r, s = self.num_elements, self.num_charges, self.num_bonds, self.num_scalars
        harmonics = str(o3.Irreps.spherical_harmonics(node.lmax))
        self.basis, self.time = GaussianBasis(num_bases, cutoff=8.6 / length_scale), TimeEmbedding(s)
        self.harmonics = o3.SphericalHarmonics(harmonics, normalize=True, normalization="component")
        self.node_in, self.vector_in = nn.Linear(2 * k + 2 * q + 1, s), o3.Linear("2x1o", node)
        self.pair_in = nn.Linear(2 * r + 2 * num_bases, radial_width)
        self.blocks = nn.ModuleList(
            TensorFieldLayer(irreps, message_irreps, harmonics, radial_width, radial_width) for _ in range(num_layers)
        )
        self.norm, self.node_out = EquivariantNorm(irreps), nn.Linear(s, k + q)
        self.vector_out = o3.Linear(node, "1x1o")
        torch.nn.init.zeros_(self.vector_out.weight)  # the first guess are the noisy coordinates
        self.bond_node = nn.Linear(s, 2 * radial_width)
        self.bond_edge = nn.Linear(radial_width + num_bases, radial_width)
        self.bond_out = nn.Sequential(
            nn.SiLU(), nn.Linear(radial_width, radial_width), nn.SiLU(), nn.Linear(radial_width, r)
        )

    def forward(self, noisy: MolBatch, t: Float[Tensor, " B"], context: Context | None = None) -> Prediction:
        """See `Denoiser.forward`."""
        pairs = Pairs.of(noisy.mask)
        pos = centred(noisy.pos, noisy.mask) / self.length_scale
        x, e = self._embed(noisy, pos, t, context.previous if context else None, pairs)
        with torch.autocast(pos.device.type, enabled=False):
            y = self.harmonics(pos[:, pairs.i] - pos[:, pairs.j])
        for block in self.blocks:
            x = block(x, y, e, pairs)
        with torch.autocast(pos.device.type, enabled=False):
            moved = centred(pos + self.vector_out(x), noisy.mask)
        scalars = self.norm(x)[..., : self.num_scalars]
        node = self.node_out(scalars).to(pos.dtype)
        return Prediction(
            moved * self.length_scale,
            None if noisy.atom_types is None else node[..., : self.num_elements],
            None if noisy.charges is None else node[..., self.num_elements :],
            None if noisy.bond_types is None else self._bonds(scalars, moved, e, pairs),
        )

    def _embed(
        self, noisy: MolBatch, pos: Tensor, t: Tensor, previous: Prediction | None, pairs: Pairs
    ) -> tuple[Tensor, Tensor]:
        """The first node features, and the constant invariants of the pairs."""
        n, p = noisy.mask.shape[1], pairs.i.shape[0]
        k, q, r = self.num_elements, self.num_charges, self.num_bonds
        old = previous if self.self_conditioning and previous is not None else Prediction(torch.zeros_like(pos))
        old_pos = centred(old.pos, noisy.mask) / self.length_scale
        nodes = [
            as_features(noisy.atom_types, pos, k, n),
            as_features(noisy.charges, pos, q, n),
            as_features(old.atom_types, pos, k, n),
            as_features(old.charges, pos, q, n),
            (noisy.mask.sum(1).to(pos.dtype) / 20)[:, None, None].expand(-1, n, 1),
        ]
        edges = [
            as_features(noisy.bond_types, pos, r, p),
            as_features(old.bond_types, pos, r, p),
            self._bases(pos, pairs),
            self._bases(old_pos, pairs),
        ]
        scalars = (self.node_in(torch.cat(nodes, -1)) + self.time(t.to(pos.dtype))[:, None]).to(pos.dtype)
        with torch.autocast(pos.device.type, enabled=False):
            vectors = self.vector_in(torch.cat([pos, old_pos], -1))
        x = torch.cat([scalars, vectors[..., self.num_scalars :]], -1)
        return x, F.silu(self.pair_in(torch.cat(edges, -1)))

    def _bases(self, pos: Float[Tensor, "B N 3"], pairs: Pairs) -> Float[Tensor, "B P K"]:
        """Gaussian bases of the distances of all pairs."""
        difference = pos[:, pairs.i] - pos[:, pairs.j]
        out: Tensor = self.basis(torch.sqrt(difference.square().sum(-1) + 1e-4))
        return out

    def _bonds(self, scalars: Tensor, moved: Tensor, e: Tensor, pairs: Pairs) -> Float[Tensor, "B P R"]:
        """Logits from sums and products of both atoms' scalars, the pair's invariants and its predicted distance."""
        a, b = self.bond_node(scalars).chunk(2, -1)
        hidden = self.bond_edge(torch.cat([e, self._bases(moved, pairs).to(e.dtype)], -1))
        hidden = hidden + a[:, pairs.i] + a[:, pairs.j] + b[:, pairs.i] * b[:, pairs.j]
        out: Tensor = self.bond_out(hidden)
        return out.to(moved.dtype)
