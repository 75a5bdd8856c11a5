"""The default denoiser: an E(3)-equivariant graph transformer on packed symmetric pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import PocketBatch
from moldiff.models.denoiser import Context, Denoiser, EncodedProperties, Prediction, as_features
from moldiff.models.pocket_encoder import EncodedPocket, PocketEncoder
from moldiff.nn.atom_first import AtomFirst
from moldiff.nn.embedding import GaussianBasis, TimeEmbedding
from moldiff.nn.geometry import centred, mean_position
from moldiff.nn.graph_transformer_block import EPSILON, GraphTransformerBlock, square
from moldiff.nn.neighbours import Neighbours
from moldiff.nn.pocket_attention import PocketAttention
from moldiff.nn.property_embedding import PropertyEmbedding


class EquivariantGraphTransformer(Denoiser):
    """Node scalars, node vectors and pair features, updated by blocks of attention with pair biases.

    Vectors start from the centred coordinates, so every output is invariant or turns with the input, reflections
    included.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        width: int = 160,
        pair_width: int = 48,
        vector_channels: int = 16,
        num_heads: int = 8,
        num_blocks: int = 7,
        expansion: int = 3,
        num_bases: int = 16,
        length_scale: float = 1.72,
        self_conditioning: bool = True,
        pocket_encoder: PocketEncoder | None = None,
        num_pocket_neighbours: int = 24,
        properties: Sequence[str] = (),
    ) -> None:
        """Sizes of the network.

        Args:
            vocabulary: the classes that it knows.
            width: scalars of an atom.
            pair_width: features of a pair of atoms.
            vector_channels: vectors of an atom.
            num_heads: of attention among the atoms.
            num_blocks: hidden layers.
            expansion: of the feed-forward parts, in units of `width`.
            num_bases: Gaussian bumps of a distance.
            length_scale: the unit of length inside the network, Å (about the spread of the coordinates).
            self_conditioning: whether the network reads an earlier estimate.
            pocket_encoder: for models that may be given a protein pocket.
            num_pocket_neighbours: nearest pocket nodes that an atom sees in each block.
            properties: names of properties that molecules may be asked to have, such as gap and mu of QM9. Until it is
                trained, the network heeds them not.
        """
        super().__init__()
        if width % num_heads:
            raise ValueError(f"width must be a multiple of num_heads: got {width} and {num_heads}; change one of them")
        self.num_elements, self.num_charges = len(vocabulary.elements), len(vocabulary.charges)
        self.num_bonds = len(vocabulary.bond_orders)
        self.length_scale, self.self_conditioning = length_scale, self_conditioning
        k, q, r = self.num_elements, self.num_charges, self.num_bonds
        self.time = TimeEmbedding(width)
        self.basis = GaussianBasis(num_bases, cutoff=8.6 / length_scale)
        self.node_in = nn.Linear(2 * k + q + 2, width)
        self.pair_in = nn.Linear(2 * r + 2 * num_bases, pair_width)
        self.vector_in = nn.Parameter(torch.stack([torch.ones(vector_channels), 0.5 * torch.randn(vector_channels)]))
        self.blocks = nn.ModuleList(
            GraphTransformerBlock(width, pair_width, vector_channels, num_heads, expansion) for _ in range(num_blocks)
        )
        self.pocket_encoder, self.num_pocket_neighbours = pocket_encoder, num_pocket_neighbours
        if pocket_encoder is not None:
            seen = (pocket_encoder.width, pocket_encoder.vector_channels)
            self.pocket_blocks = nn.ModuleList(
                PocketAttention(width, vector_channels, *seen, cutoff=12 / length_scale) for _ in range(num_blocks)
            )
        self.properties = tuple(properties)
        if properties:
            self.property_embedding = PropertyEmbedding(properties, width)
            self.property_layers = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(num_blocks))
            for layer in self.property_layers:
                nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
        self.norm_node, self.node_out = nn.LayerNorm(width), nn.Linear(width, k + q)
        self.norm_pair = nn.LayerNorm(pair_width)
        self.pair_out = nn.Sequential(nn.Linear(pair_width, pair_width), nn.SiLU(), nn.Linear(pair_width, r))
        self.vector_out = nn.Parameter(torch.ones(vector_channels) / vector_channels)
        layers = [f"property_layers.{k}." for k in range(num_blocks)]
        further = [] if pocket_encoder is not None else [f"blocks.{k}." for k in range(1, num_blocks)]
        self.optional = ("property_embedding.", *layers, *further)

    def forward(self, noisy: MolBatch, t: Float[Tensor, " B"], context: Context | None = None) -> Prediction:
        """See `Denoiser.forward`."""
        tables = AtomFirst.of(noisy.mask)
        context = self.prepare(context or Context())
        s, v, e = self._embed(noisy, t, context.previous, tables)
        asked, pocket, near = context.properties, context.pocket, self._neighbours(noisy, context)
        for k, block in enumerate(self.blocks):
            if isinstance(asked, EncodedProperties):
                s = s + asked.vectors[:, k].to(s.dtype)
            if isinstance(pocket, EncodedPocket) and near is not None:
                s, v = self.pocket_blocks[k](s, v, pocket.scalars, near)
            s, v, e = block(s, v, e, tables)
        k = self.num_elements
        node = self.node_out(self.norm_node(s)).to(v.dtype).transpose(0, 1)
        bonds = self.pair_out(self.norm_pair(e)).to(v.dtype).transpose(0, 1)
        pos = (v * self.vector_out).sum(-1).permute(2, 0, 1)
        return Prediction(
            centred(pos, noisy.mask) * self.length_scale,
            None if noisy.atom_types is None else node[..., :k],
            None if noisy.charges is None else node[..., k:],
            None if noisy.bond_types is None else bonds,
        )

    def prepare(self, context: Context) -> Context:
        """See `Denoiser.prepare`."""
        if self.properties and not isinstance(context.properties, EncodedProperties):
            context = replace(context, properties=self._encoded(context.properties))
        if self.pocket_encoder is None:
            return super().prepare(context)
        if isinstance(context.pocket, PocketBatch):
            return replace(context, pocket=self.pocket_encoder(context.pocket))
        return context

    def _encoded(self, properties: Float[Tensor, "A C"] | None) -> EncodedProperties:
        """Properties as vectors that are added to the scalars before each block; None: nothing is asked for."""
        like = self.vector_out
        if properties is None:
            properties = like.new_full((1, len(self.properties)), torch.nan)
        asked = self.property_embedding(properties.to(like.dtype))
        return EncodedProperties(torch.stack([layer(asked) for layer in self.property_layers], 1))

    def _neighbours(self, noisy: MolBatch, context: Context) -> Neighbours | None:
        """The nearest pocket nodes of where each atom is and of where it was last thought to be."""
        if not isinstance(context.pocket, EncodedPocket):
            return None
        pocket, unit = context.pocket, self.length_scale
        origin = mean_position(noisy.pos, noisy.mask)
        points = [noisy.pos]
        if self.self_conditioning and context.previous is not None:
            points.append(centred(context.previous.pos, noisy.mask) + origin)
        with torch.autocast(origin.device.type, enabled=False):
            return Neighbours.of(
                [x / unit for x in points],
                noisy.mask,
                pocket.pos.to(origin.dtype) / unit,
                pocket.vectors.to(origin.dtype),
                pocket.mask,
                self.num_pocket_neighbours,
                origin / unit,
            )

    def _embed(
        self, noisy: MolBatch, t: Float[Tensor, " B"], previous: Prediction | None, tables: AtomFirst
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The first scalars, vectors and pair features."""
        n, p = noisy.mask.shape[1], tables.i.shape[0]
        pos = centred(noisy.pos, noisy.mask) / self.length_scale
        old = previous if self.self_conditioning and previous is not None else Prediction(torch.zeros_like(pos))
        old_pos = centred(old.pos, noisy.mask) / self.length_scale
        elements = as_features(noisy.atom_types, pos, self.num_elements, n)
        charges = as_features(noisy.charges, pos, self.num_charges, n)
        old_elements = as_features(old.atom_types, pos, self.num_elements, n)
        scalars = torch.stack([t.to(pos.dtype), tables.count[:, 0].to(pos.dtype) / 20], -1)
        nodes = torch.cat([elements, charges, old_elements, scalars[:, None].expand(-1, n, -1)], -1)
        s = self.node_in(nodes.transpose(0, 1).contiguous()) + self.time(t.to(pos.dtype))
        now, before = (x.permute(1, 2, 0)[..., None] for x in (pos, old_pos))  # (N, 3, B, 1)
        v = now * self.vector_in[0] + before * self.vector_in[1]
        bonds = as_features(noisy.bond_types, pos, self.num_bonds, p).transpose(0, 1)
        old_bonds = as_features(old.bond_types, pos, self.num_bonds, p).transpose(0, 1)
        e = self.pair_in(torch.cat([bonds, old_bonds, self._bases(now, tables), self._bases(before, tables)], -1))
        return s, v, e

    def _bases(self, pos: Float[Tensor, "N 3 B 1"], tables: AtomFirst) -> Float[Tensor, "P B K"]:
        """Gaussian bases of the distances of all pairs."""
        out: Tensor = self.basis(torch.sqrt(square(tables.difference(pos)) + EPSILON).squeeze(-1))
        return out
