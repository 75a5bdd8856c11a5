"""A small denoiser: messages along all pairs of atoms, weighted by functions of their distance."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.models import Context, Denoiser, Prediction
from moldiff.models.denoiser import as_features
from moldiff.nn.embedding import GaussianBasis, TimeEmbedding
from moldiff.nn.geometry import centred
from moldiff.nn.pairs import Pairs


class RadialLayer(nn.Module):
    """Updates pair features, then node scalars, then coordinates along the differences to the other atoms."""

    def __init__(self, width: int, num_bases: int) -> None:
        super().__init__()
        self.basis = GaussianBasis(num_bases, cutoff=8.6)
        self.norm, self.pair_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_pair, self.from_distance = nn.Linear(width, width), nn.Linear(num_bases, width)
        self.mix, self.from_pair, self.pull = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, h: Tensor, x: Tensor, e: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
        """Scalars h (B, N, D), coordinates x (B, N, 3) in Å and packed pair features e (B, P, D), all updated."""
        difference = x[:, pairs.i] - x[:, pairs.j]
        distance = torch.sqrt(difference.square().sum(-1) + 1e-8)
        node = self.to_pair(self.norm(h))
        both = node[:, pairs.i] + node[:, pairs.j]  # the same for (i, j) and (j, i): order must not matter
        e = e + self.mix(F.silu(both + self.pair_norm(e) + self.from_distance(self.basis(distance))))
        real = pairs.pair_mask[..., None].to(x.dtype)  # padded atoms send nothing
        h = h + pairs.sum_symmetric(F.silu(self.from_pair(e)) * real) / 8
        weight = torch.tanh(self.pull(e)) * real / (1 + distance[..., None])
        return h, x + pairs.sum_antisymmetric(weight * difference), e


class RadialNetwork(Denoiser):
    """Predicts clean coordinates, and logits of elements, charges and bond orders.

    The coordinates start at the noisy ones, centred, and move along differences of atoms only, so they turn and reflect
    with the input; everything else is a function of distances, so it does not change at all.
    """

    def __init__(self, vocabulary: Vocabulary, width: int = 64, num_layers: int = 4, num_bases: int = 16) -> None:
        """`vocabulary`: always the first argument, given by moldiff; the others can be set in a config."""
        super().__init__()
        self.widths = len(vocabulary.elements), len(vocabulary.charges), len(vocabulary.bond_orders)
        k, q, r = self.widths
        self.time = TimeEmbedding(width)
        self.node_in, self.pair_in = nn.Linear(k + q, width), nn.Linear(r, width)
        self.blocks = nn.ModuleList(RadialLayer(width, num_bases) for _ in range(num_layers))
        self.node_out, self.pair_out = nn.Linear(width, k + q), nn.Linear(width, r)

    def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
        """See `Denoiser.forward`. A field that the noisy batch lacks is read as zeros and not predicted."""
        pairs, x = Pairs.of(noisy.mask), centred(noisy.pos, noisy.mask)
        k, q, r = self.widths
        atoms = [as_features(noisy.atom_types, x, k, x.shape[1]), as_features(noisy.charges, x, q, x.shape[1])]
        h = self.node_in(torch.cat(atoms, -1)) + self.time(t)[:, None]
        e = self.pair_in(as_features(noisy.bond_types, x, r, len(pairs.i)))
        for block in self.blocks:
            h, x, e = block(h, x, e, pairs)
        node = self.node_out(h)
        return Prediction(
            centred(x, noisy.mask),
            None if noisy.atom_types is None else node[..., :k],
            None if noisy.charges is None else node[..., k:],
            None if noisy.bond_types is None else self.pair_out(e),
        )
