"""Going from atoms to packed pairs and back, in the layout with the batch as second axis."""

import pytest
import torch
import torch.nn.functional as F

from moldiff.data.batch import pair_indices
from moldiff.nn.atom_first import AtomFirst
from moldiff.nn.graph_transformer_block import attend
from moldiff.nn.rms_norm import rms_norm
from moldiff.testing import random_mask

DOUBLE = torch.float64


@pytest.fixture(params=[6, 50], ids=["few atoms", "many atoms"])
def tables(request):
    """Below and above the size at which the incidence matrix is left for gathers."""
    tables = AtomFirst.of(torch.ones(3, request.param, dtype=torch.bool))
    assert (tables.incidence is None) == (request.param > 48)
    return tables


def features(tables, *shape):
    torch.manual_seed(0)
    n = int(tables.count[0])
    return torch.randn(n, 3, *shape, dtype=DOUBLE), torch.randn(len(tables.i), 3, *shape, dtype=DOUBLE), n


def test_pairs_come_in_the_order_of_the_batches(tables):
    i, j = pair_indices(int(tables.count[0]))
    assert torch.equal(tables.i, i)
    assert torch.equal(tables.j, j)


def test_atoms_to_pairs(tables):
    x, e, _ = features(tables, 4)
    torch.testing.assert_close(tables.add_ends(e, x), e + x[tables.i] + x[tables.j])
    torch.testing.assert_close(tables.difference(x), x[tables.i] - x[tables.j])


def test_sums_over_partners_are_those_of_the_full_matrix(tables):
    _, e, n = features(tables, 4)
    full = tables.full(e, n)
    torch.testing.assert_close(full, full.transpose(0, 1))
    assert full.diagonal().abs().max() == 0
    torch.testing.assert_close(tables.sum_symmetric(e, n), full.sum(1))
    signs = torch.ones(n, n, dtype=DOUBLE).tril() - torch.ones(n, n, dtype=DOUBLE).triu()
    torch.testing.assert_close(tables.sum_antisymmetric(e, n), (full * signs[..., None, None]).sum(1))


def test_sums_of_bfloat16_are_made_in_float32(tables):
    ones = torch.full((len(tables.i), 3, 2), 1.0078125, dtype=torch.bfloat16)  # the next number after 1
    n = int(tables.count[0])
    expected = torch.tensor((n - 1) * 1.0078125).bfloat16()
    assert torch.equal(tables.sum_symmetric(ones, n), expected.expand(n, 3, 2))


def test_masks_are_made_for_padded_batches_only():
    assert AtomFirst.of(torch.ones(2, 4, dtype=torch.bool)).pairs is None
    mask = random_mask((4, 1, 3))
    tables = AtomFirst.of(mask)
    assert tables.count.flatten().tolist() == [4, 1, 3]
    assert torch.equal(tables.atoms[..., 0], mask.t())
    i, j = pair_indices(4)
    assert torch.equal(tables.pairs[..., 0], (mask[:, i] & mask[:, j]).t())


def test_rms_norm_is_torchs_own():
    torch.manual_seed(0)
    x, grad = torch.randn(5, 3, 8, dtype=DOUBLE), torch.randn(5, 3, 8, dtype=DOUBLE)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    own, torchs = rms_norm(a), F.rms_norm(b, (8,), eps=1e-5)
    torch.testing.assert_close(own, torchs)
    own.backward(grad)
    torchs.backward(grad)
    torch.testing.assert_close(a.grad, b.grad)
    assert torch.autograd.gradcheck(rms_norm, x.clone().requires_grad_())


def test_rms_norm_bears_rows_of_zeros_and_keeps_bfloat16():
    assert torch.equal(rms_norm(torch.zeros(2, 4)), torch.zeros(2, 4))
    assert rms_norm(torch.randn(2, 4).bfloat16()).dtype == torch.bfloat16


def test_attention_is_torchs_own():
    torch.manual_seed(0)
    q, k, u = (torch.randn(6, 5, 4) for _ in range(3))
    bias = torch.randn(5, 5, 6)
    bias[3] = -1e4  # no key
    expected = F.scaled_dot_product_attention(q, k, u, attn_mask=bias.permute(2, 1, 0))
    torch.testing.assert_close(attend(q, k, u, bias), expected)
