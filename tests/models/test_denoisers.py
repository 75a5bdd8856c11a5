"""Laws of all denoisers."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion import GaussianProcess, JointProcess, OneHotGaussianProcess, StreamNoise
from moldiff.models import EGNN, Context, Denoiser, EquivariantGraphTransformer, Prediction, TensorFieldNetwork
from moldiff.models.denoiser import FIELDS, as_features
from moldiff.testing import check_denoiser, random_batch, some_properties


@pytest.fixture
def batch() -> MolBatch:
    out = random_batch(sizes=(6, 3, 1, 2))
    return out.replace(pos=out.pos.float())


@pytest.fixture
def previous() -> Prediction:
    estimate = random_batch(sizes=(6, 3, 1, 2), seed=9, relaxed=True)
    return Prediction(*(getattr(estimate, name).float() for name in FIELDS))


def test_laws(denoiser: Denoiser, statistics: Statistics) -> None:
    check_denoiser(denoiser, statistics.vocabulary)


@pytest.mark.parametrize("make", [EGNN, EquivariantGraphTransformer, TensorFieldNetwork])
def test_laws_hold_to_the_last_digits(make: Callable[..., Denoiser], statistics: Statistics) -> None:
    """Built in float64, a network has no constants that are rounded to float32."""
    small = {"irreps": "8x0e+4x1o+2x2e", "num_layers": 2} if make is TensorFieldNetwork else {"width": 16}
    torch.set_default_dtype(torch.float64)
    try:
        network = make(statistics.vocabulary, **small)
    finally:
        torch.set_default_dtype(torch.float32)
    check_denoiser(network, statistics.vocabulary, tolerance=1e-10)


def test_other_vocabularies_fit(denoiser: Denoiser) -> None:
    vocabulary = Vocabulary(("C", "O", "S"), charges=(-2, -1, 0, 1, 2), bond_orders=(0, 1, 2))
    other = _like(denoiser, vocabulary)
    batch = random_batch(vocabulary, sizes=(4, 2))
    out = other.double()(batch, torch.rand(2).double())
    assert [out.atom_types.shape[-1], out.charges.shape[-1], out.bond_types.shape[-1]] == [3, 5, 3]


def test_coordinates_come_back_centred(denoiser: Denoiser, batch: MolBatch) -> None:
    out = denoiser(batch, torch.rand(4)).pos
    torch.testing.assert_close(out.sum(1), torch.zeros(4, 3), atol=1e-4, rtol=0)
    assert (out[~batch.mask] == 0).all()


def test_time_matters(denoiser: Denoiser, batch: MolBatch) -> None:
    early, late = denoiser(batch, torch.full((4,), 0.1)), denoiser(batch, torch.full((4,), 0.9))
    assert not torch.allclose(early.atom_types, late.atom_types)


def test_classes_matter(denoiser: Denoiser, batch: MolBatch) -> None:
    t = torch.full((4,), 0.5)
    before = denoiser(batch, t)
    for name, count in (("atom_types", 5), ("charges", 3), ("bond_types", 4)):
        changed = {name: (getattr(batch, name) + 1) % count}
        assert not torch.allclose(denoiser(batch.replace(**changed), t).bond_types, before.bond_types)


def test_earlier_estimate_is_read_if_promised(denoiser: Denoiser, batch: MolBatch, previous: Prediction) -> None:
    t = torch.full((4,), 0.5)
    without = denoiser(batch, t, Context())
    with_it = denoiser(batch, t, Context(previous))
    assert torch.allclose(without.bond_types, with_it.bond_types) != denoiser.self_conditioning
    other = denoiser(batch, t, Context(replace(previous, pos=1.5 * previous.pos)))
    assert torch.allclose(other.bond_types, with_it.bond_types) != denoiser.self_conditioning


def test_absorbed_tokens_are_read(denoiser: Denoiser, batch: MolBatch) -> None:
    """The index past the last class is the token of an absorbing process: no class at all."""
    absorbed = batch.replace(atom_types=torch.full_like(batch.atom_types, 5))
    out = denoiser(absorbed, torch.full((4,), 0.5)).atom_types
    assert torch.isfinite(out).all()
    assert (as_features(absorbed.atom_types, batch.pos, 5, 6) == 0).all()


def test_all_weights_get_gradients(denoiser: Denoiser, batch: MolBatch, previous: Prediction) -> None:
    out = denoiser(batch, torch.rand(4), Context(previous, properties=some_properties(denoiser, 4)))
    torch.stack([value.square().sum() for value in out.present().values()]).sum().backward()
    missing = [name for name, p in denoiser.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    # the last block's vectors or gates may be read by nothing
    assert [name for name in missing if "blocks" not in name] == []
    assert len(missing) <= 2


def test_single_atoms_are_molecules_too(denoiser: Denoiser) -> None:
    batch = random_batch(sizes=(1, 1))
    out = denoiser(batch.replace(pos=batch.pos.float()), torch.rand(2))
    assert out.bond_types.shape == (2, 0, 4)
    assert all(torch.isfinite(value).all() for value in out.present().values())


def test_blocks_are_of_one_kind(denoiser: Denoiser) -> None:
    """As the optimizer and the compiler rely on."""
    assert len(denoiser.blocks) > 0
    assert len({type(block) for block in denoiser.blocks}) == 1
    assert any("blocks." in name and p.dim() == 2 for name, p in denoiser.named_parameters())


def test_copies_and_saved_weights_give_the_same(denoiser: Denoiser, batch: MolBatch) -> None:
    t = torch.rand(4)
    expected = denoiser(batch, t)
    other = copy.deepcopy(denoiser)
    for parameter in other.parameters():
        parameter.data.zero_()
    other.load_state_dict(denoiser.state_dict())
    for name, value in other(batch, t).present().items():
        assert torch.equal(value, getattr(expected, name))


def test_mixed_precision_keeps_coordinates_in_float32(denoiser: Denoiser, batch: MolBatch) -> None:
    t = torch.full((4,), 0.5)
    exact = denoiser(batch, t)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = denoiser(batch, t)
    for name, value in mixed.present().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, getattr(exact, name), atol=0.1, rtol=0.1)


def test_learns_one_molecule(denoiser: Denoiser, statistics: Statistics) -> None:
    """EDM's loss at fixed noise falls to a small part in a few steps."""
    processes = {"pos": GaussianProcess(align_noise=False), "atom_types": OneHotGaussianProcess()}
    process = JointProcess(processes, statistics)
    clean = random_batch(sizes=(5, 5))
    clean = clean.replace(pos=(clean.pos - clean.pos.mean(1, keepdim=True)).float())
    t = torch.tensor([0.4, 0.8])
    noisy = process.corrupt(clean, t, StreamNoise(torch.Generator().manual_seed(0)))
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = torch.stack(list(process.loss(denoiser(noisy, t), clean, noisy, t).values())).sum(0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize("make", [EGNN, EquivariantGraphTransformer, TensorFieldNetwork])
def test_first_outputs_are_moderate(make: Callable[..., Denoiser], statistics: Statistics) -> None:
    """At full size, before training: no class is ruled out, and coordinates are about where they were."""
    torch.manual_seed(0)
    batch = random_batch(statistics.vocabulary, sizes=(20, 12))
    with torch.no_grad():
        out = make(statistics.vocabulary)(batch.replace(pos=batch.pos.float()), torch.tensor([0.1, 0.9]))
    assert out.pos.abs().max() < 20
    for logits, here in ((out.atom_types, batch.mask), (out.charges, batch.mask), (out.bond_types, batch.pair_mask)):
        assert logits[here].abs().max() < 5


def test_edm_has_its_number_of_weights(statistics: Statistics) -> None:
    """592,897 in each of nine layers with two invariants per pair, as published; bonds bring more invariants here."""
    network, bonds = EGNN(statistics.vocabulary), 4
    layer = sum(p.numel() for p in network.blocks[0].parameters())
    assert layer == 592_897 + 2 * 256 * bonds
    assert len(network.blocks) == 9


@pytest.mark.parametrize("irreps", ["4x1o+8x0e", "8x0e+2x2e", "8x0e+4x1e", "8x0e+4x1o+4x1o"])
def test_irreps_without_meaning_are_refused(irreps: str, statistics: Statistics) -> None:
    with pytest.raises(ValueError, match="expected scalars first, 1o among the rest"):
        TensorFieldNetwork(statistics.vocabulary, irreps)


def _like(denoiser: Denoiser, vocabulary: Vocabulary) -> Denoiser:
    """A small network of the same class for another vocabulary."""
    if isinstance(denoiser, TensorFieldNetwork):
        return TensorFieldNetwork(vocabulary, "8x0e+4x1o+2x2e", "4x0e+2x1o+1x2e", 2, 8)
    return type(denoiser)(vocabulary, 16, self_conditioning=denoiser.self_conditioning)  # type: ignore[call-arg]
