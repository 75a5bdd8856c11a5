"""Packed pairs, and embeddings of times and distances."""

import pytest
import torch

from moldiff.data.batch import pair_indices
from moldiff.nn.embedding import GaussianBasis, TimeEmbedding
from moldiff.nn.geometry import centred
from moldiff.nn.pairs import Pairs
from moldiff.testing import random_mask


@pytest.mark.parametrize("n", [1, 2, 5])
def test_order_is_that_of_the_batch(n: int) -> None:
    pairs = Pairs.of(torch.ones(1, n, dtype=torch.bool))
    i, j = pair_indices(n)
    assert torch.equal(pairs.i, i)
    assert torch.equal(pairs.j, j)


def test_pair_mask_needs_both_atoms() -> None:
    pairs = Pairs.of(random_mask((3, 1, 2)))
    assert pairs.pair_mask.tolist() == [[True, True, True], [False] * 3, [True, False, False]]


def test_full_is_the_symmetric_matrix() -> None:
    pairs = Pairs.of(torch.ones(2, 4, dtype=torch.bool))
    packed = torch.randn(2, 6, 3)
    full = pairs.full(packed)
    assert torch.equal(full, full.transpose(1, 2))
    assert (full.diagonal(dim1=1, dim2=2) == 0).all()
    for place, (i, j) in enumerate(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)):
        assert torch.equal(full[:, i, j], packed[:, place])


def test_sums_are_those_of_the_matrix() -> None:
    pairs = Pairs.of(torch.ones(2, 5, dtype=torch.bool))
    packed, pos = torch.randn(2, 10, 3), torch.randn(2, 5, 3)
    torch.testing.assert_close(pairs.sum_symmetric(packed), pairs.full(packed).sum(2))
    arrows = pos[:, pairs.i] - pos[:, pairs.j]
    torch.testing.assert_close(pairs.sum_antisymmetric(arrows), (pos[:, :, None] - pos[:, None]).sum(2))


def test_tables_are_made_for_each_size() -> None:
    for n in (3, 6, 3):
        assert Pairs.of(torch.ones(1, n, dtype=torch.bool)).to_full.shape == (n * n,)


def test_centred_leaves_padding_out() -> None:
    mask = random_mask((3, 1))
    pos = torch.full((2, 3, 3), 7.0)
    pos[0, 0] = 1.0
    out = centred(pos, mask)
    torch.testing.assert_close(out[0], torch.tensor([-4.0, 2.0, 2.0])[:, None].expand(3, 3))
    assert (out[1] == 0).all()


def test_gaussian_bases_peak_at_their_centres() -> None:
    basis = GaussianBasis(5, cutoff=4.0)
    values = basis(torch.arange(5.0))
    torch.testing.assert_close(values.diagonal(), torch.ones(5))
    torch.testing.assert_close(values[0, 1], torch.tensor(-1.0).exp())
    assert basis(torch.tensor([100.0])).sum() == 0


def test_times_have_embeddings_of_their_own() -> None:
    torch.manual_seed(0)
    embedding = TimeEmbedding(16)(torch.tensor([0.0, 0.001, 0.5, 1.0]))
    assert embedding.shape == (4, 16)
    distances = torch.cdist(embedding, embedding) + torch.eye(4)
    assert (distances > 1e-2).all()
