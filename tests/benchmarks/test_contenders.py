"""The forms that the benchmarks compare compute the same function."""

import pytest
import torch

from benchmarks.contenders import Contender, statistics
from benchmarks.edge_list import EdgeListEGNN
from benchmarks.full_matrix import FullMatrixTransformer
from benchmarks.training_step import Trainer
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.models import EGNN, EquivariantGraphTransformer
from moldiff.models.denoiser import Context, Denoiser
from moldiff.testing import QM9, random_batch
from moldiff.training import DiffusionModule

SIZES = (9, 5, 12, 1)


def both(fast: type[Denoiser], plain: type[Denoiser], **settings: object) -> tuple[Denoiser, Denoiser]:
    """Two forms of a network with the same random weights, away from their start."""
    torch.manual_seed(0)
    one, other = fast(QM9, **settings), plain(QM9, **settings)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    other.load_state_dict(one.state_dict())
    return one, other


def single(batch):
    return batch.replace(pos=batch.pos.float())


def test_the_fast_transformer_agrees_with_its_first_draft():
    fast, plain = both(EquivariantGraphTransformer, FullMatrixTransformer, width=32, num_heads=4, num_blocks=3)
    noisy, t = single(random_batch(QM9, SIZES)), torch.tensor([0.1, 0.4, 0.7, 1.0])
    first = fast(noisy, t)
    for context in (None, Context(previous=first)):
        a, b = fast(noisy, t, context), plain(noisy, t, context)
        for name, mask in (("pos", noisy.mask), ("atom_types", noisy.mask), ("bond_types", noisy.pair_mask)):
            torch.testing.assert_close(getattr(a, name)[mask], getattr(b, name)[mask], rtol=1e-4, atol=1e-4)


def test_their_gradients_agree():
    fast, plain = both(EquivariantGraphTransformer, FullMatrixTransformer, width=32, num_heads=4, num_blocks=2)
    noisy, t = single(random_batch(QM9, (7, 7))), torch.tensor([0.2, 0.9])
    for network in (fast, plain):
        sum(x.square().mean() for x in network(noisy, t).present().values()).backward()
    for (name, a), b in zip(fast.named_parameters(), plain.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("size", [47, 50])
def test_large_molecules_take_the_same_sums(size):
    """Above 48 atoms rows are gathered in place of products with the incidence matrix."""
    fast, plain = both(EquivariantGraphTransformer, FullMatrixTransformer, width=16, num_heads=2, num_blocks=1)
    noisy, t = single(random_batch(QM9, (size, size - 3))), torch.tensor([0.3, 0.6])
    a, b = fast(noisy, t), plain(noisy, t)
    torch.testing.assert_close(a.pos, b.pos, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(a.bond_types[noisy.pair_mask], b.bond_types[noisy.pair_mask], rtol=1e-4, atol=1e-4)


def test_edms_form_agrees():
    fast, plain = both(EGNN, EdgeListEGNN, width=16, num_layers=2)
    noisy = single(random_batch(QM9, SIZES)).replace(bond_types=None, charges=None)
    t = torch.tensor([0.1, 0.4, 0.7, 1.0])
    a, b = fast(noisy, t), plain(noisy, t)
    torch.testing.assert_close(a.pos, b.pos, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(a.atom_types[noisy.mask], b.atom_types[noisy.mask], rtol=1e-4, atol=1e-4)


def test_a_step_does_not_depend_on_where_molecules_lie():
    """Data are not centred; the losses that are compared must be those of centred molecules, as in training."""
    losses = []
    for shift in (0.0, 5.0):
        torch.manual_seed(0)
        fields = {
            "pos": GaussianProcess(),
            **{f: CategoricalProcess() for f in ("atom_types", "charges", "bond_types")},
        }
        module = DiffusionModule(
            lambda vocabulary: EquivariantGraphTransformer(vocabulary, 16, 8, 4, 2, 1), fields, num_steps=2
        )
        module.build(statistics())
        trainer = Trainer(Contender("small", module, bfloat16=False, num_steps=2, padded=False))
        batch = single(random_batch(statistics().vocabulary, SIZES))
        losses.append([trainer.step(batch.replace(pos=batch.pos + shift * batch.mask[..., None])) for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
