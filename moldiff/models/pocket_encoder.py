"""The encoder of a protein pocket: run once per pocket, whatever the number of denoising steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from moldiff.data.pocket_batch import NUM_CLASSES, Level, PocketBatch
from moldiff.nn.embedding import GaussianBasis


@dataclass(frozen=True)
class EncodedPocket:
    """What the denoiser sees of A pockets: one for each molecule, or one (A = 1) for all."""

    pos: Float[Tensor, "A M 3"]  # Å, in the frame of the molecules
    scalars: Float[Tensor, "A M S"]
    vectors: Float[Tensor, "A M 3 V"]
    mask: Bool[Tensor, "A M"]

    def take(self, rows: Int[Tensor, " C"]) -> EncodedPocket:
        """Some of the pockets, in this order; one may come several times."""
        return EncodedPocket(self.pos[rows], self.scalars[rows], self.vectors[rows], self.mask[rows])


class PocketEncoder(nn.Module):
    """A tensor-field network (e3nn) on the nodes of a pocket, each with edges to its nearest nodes.

    Nodes are heavy atoms, told apart by residue and atom name, or residues: C-alpha with the direction of the side
    chain. The output are scalars, which stay the same, and vectors, which turn with the pocket.
    """

    def __init__(
        self,
        level: Level = "atom",
        width: int = 64,
        vector_channels: int = 16,
        num_layers: int = 2,
        num_neighbours: int = 10,
        num_bases: int = 16,
        cutoff: float = 8.0,
    ) -> None:
        """Sizes of the network.

        Args:
            level: what a node is.
            width: scalars of a node.
            vector_channels: vectors of a node.
            num_layers: layers of messages.
            num_neighbours: nearest nodes that a node hears.
            num_bases: Gaussian bumps of a distance.
            cutoff: distance of the last of them, Å.
        """
        from e3nn import o3  # here, not above: it takes a second to import, and only models of pockets need it

        from moldiff.nn.pocket_layer import PocketLayer

        super().__init__()
        if level not in NUM_CLASSES:
            raise ValueError(f"level must be atom or residue: got {level!r}; choose one of them")
        self.level, self.width, self.vector_channels = level, width, vector_channels
        self.num_neighbours = num_neighbours
        irreps, sent = f"{width}x0e+{vector_channels}x1o", f"{width // 4}x0e+{vector_channels // 2}x1o"
        harmonics = str(o3.Irreps.spherical_harmonics(2))
        self.embedding = nn.Embedding(NUM_CLASSES[level], width)
        self.direction_in = o3.Linear("1x1o", f"{vector_channels}x1o")
        self.harmonics = o3.SphericalHarmonics(harmonics, normalize=True, normalization="component")
        self.basis = GaussianBasis(num_bases, cutoff)
        self.layers = nn.ModuleList(
            PocketLayer(irreps, sent, harmonics, num_bases, width, num_neighbours) for _ in range(num_layers)
        )

    def forward(self, pocket: PocketBatch) -> EncodedPocket:
        """Encode each pocket by itself.

        Raises:
            ValueError: if the pockets are of another level.
        """
        if pocket.level != self.level:
            raise ValueError(
                f"got a pocket of the level {pocket.level!r}; the model knows {self.level!r}: read the pocket so"
            )
        a, m = pocket.mask.shape
        row, neighbours, there = self._edges(pocket)
        pos = pocket.pos.flatten(0, 1)[row]
        with torch.autocast(pos.device.type, enabled=False):
            way = pos[neighbours] - pos[:, None]
            harmonics, bases = self.harmonics(way), self.basis(torch.sqrt(way.square().sum(-1) + 1e-4))
            scalars = self.embedding(pocket.types.flatten()[row]).to(pos.dtype)
            x = torch.cat([scalars, self.direction_in(pocket.direction.flatten(0, 1)[row])], -1)
        for layer in self.layers:
            x = layer(x, neighbours, harmonics, bases, there)
        out = x.new_zeros(a * m, x.shape[-1]).index_copy_(0, row, x).view(a, m, -1)
        vectors = out[..., self.width :].view(a, m, self.vector_channels, 3).transpose(-1, -2)
        return EncodedPocket(pocket.pos, out[..., : self.width], vectors, pocket.mask)

    def _edges(self, pocket: PocketBatch) -> tuple[Int[Tensor, " T"], Int[Tensor, "T K"], Float[Tensor, "T K 1"]]:
        """Rows of the T nodes among all, padded ones included; K neighbours of each among the T; which are there."""
        a, m = pocket.mask.shape
        k = min(self.num_neighbours, m - 1)
        distance = torch.cdist(pocket.pos, pocket.pos)
        distance = distance.masked_fill(~pocket.mask[:, None], torch.inf)
        distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
        found = distance.topk(k, largest=False, sorted=False)
        row = pocket.mask.flatten().nonzero()[:, 0]
        place = torch.zeros(a * m, dtype=torch.long, device=row.device)
        place[row] = torch.arange(len(row), device=row.device)
        first = torch.arange(a, device=row.device)[:, None, None] * m
        neighbours = place[(found.indices + first).flatten(0, 1)[row]]
        there = found.values.flatten(0, 1)[row].isfinite()[..., None]
        return row, neighbours, there.to(pocket.pos.dtype)
