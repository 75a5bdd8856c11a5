"""The helpers of `moldiff.testing` find networks that break a law, and say which one."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch, pair_indices
from moldiff.models import Context, Denoiser, Prediction
from moldiff.models.denoiser import as_features
from moldiff.testing import (
    ATOMS,
    PAIRS,
    POINTS,
    Subject,
    assert_equivariant,
    assert_permutation_equivariant,
    check_denoiser,
    random_batch,
    random_mask,
)

VOCABULARY = Vocabulary(("H", "C", "O"))


@dataclass(frozen=True)
class Inside:
    """What the smallest lawful network computes on its way; the broken ones change one of these."""

    pos: Tensor  # centred
    node: Tensor  # (B, N, 1), an invariant of each atom
    mask: Tensor


class Small(Denoiser):
    """Scales the centred coordinates and gives each class the squared distance from the centre."""

    def __init__(self, vocabulary: Vocabulary, fault: Callable[[Inside], dict[str, Tensor]] = lambda x: {}) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.widths = len(vocabulary.elements), len(vocabulary.charges), len(vocabulary.bond_orders)
        self.fault, self.blocks = fault, nn.ModuleList()

    def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
        weight, (k, q, r) = noisy.mask[..., None].to(noisy.pos), self.widths
        pos = (noisy.pos - (noisy.pos * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)) * weight
        elements = as_features(noisy.atom_types, pos, k, pos.shape[1])
        node = pos.square().sum(-1, keepdim=True) + t[:, None, None] + elements[..., :1]
        values = {"pos": pos, "node": node} | self.fault(Inside(pos, node, noisy.mask))
        pos, node = values["pos"] * self.weight[0], values["node"]
        i, j = pair_indices(pos.shape[1])
        pair = values.get("pair", node[:, i] + node[:, j])
        return Prediction(
            pos,
            None if noisy.atom_types is None else self.weight[1] * node.expand(-1, -1, k),
            None if noisy.charges is None else self.weight[2] * node.expand(-1, -1, q),
            None if noisy.bond_types is None else pair.expand(-1, -1, r),
        )


def along_an_axis(x: Inside) -> dict[str, Tensor]:
    return {"node": x.node + x.pos[..., :1]}


def left_handed(x: Inside) -> dict[str, Tensor]:
    """The determinant of three vectors of the molecule tells mirror images apart."""
    vectors = torch.stack([(x.pos * x.node**k).sum(1) for k in (1, 2, 3)], -1)
    return {"node": x.node + torch.tanh(torch.linalg.det(vectors))[:, None, None]}


def with_a_pseudovector(x: Inside) -> dict[str, Tensor]:
    first, second = ((x.pos * x.node**k).sum(1, keepdim=True) for k in (1, 2))
    return {"pos": (x.pos + torch.linalg.cross(first, second)) * x.mask[..., None]}


def by_number(x: Inside) -> dict[str, Tensor]:
    return {"node": x.node + torch.arange(x.node.shape[1])[:, None]}


def one_way(x: Inside) -> dict[str, Tensor]:
    i, j = pair_indices(x.node.shape[1])
    return {"pair": x.node[:, i] - x.node[:, j]}


def over_the_batch(x: Inside) -> dict[str, Tensor]:
    return {"node": x.node + (x.node * x.mask[..., None]).amax()}


def over_the_padding(x: Inside) -> dict[str, Tensor]:
    return {"node": x.node + x.node.sum(1, keepdim=True)}


def by_the_width(x: Inside) -> dict[str, Tensor]:
    return {"node": x.node * x.node.shape[1]}


def at_random(x: Inside) -> dict[str, Tensor]:
    return {"node": x.node + torch.rand(())}


def nothing_of_it(x: Inside) -> dict[str, Tensor]:
    return {"node": 0 * x.node}


def infinite(x: Inside) -> dict[str, Tensor]:
    return {"node": x.node / (x.mask.sum(1) - 1)[:, None, None]}


FAULTS = [
    (along_an_axis, "turning the input changes"),
    (left_handed, "reflecting the input changes"),
    (with_a_pseudovector, "reflecting the input changes pos"),
    (by_number, "another order of the atoms changes"),
    (one_way, "another order of the atoms changes bond_types"),
    (over_the_batch, "leaving the other molecules out changes"),
    (over_the_padding, "more padding changes|numbers in the padding changes"),
    (by_the_width, "more padding changes"),
    (at_random, "calling again changes"),
    (nothing_of_it, "does not depend on noisy pos"),
    (infinite, "is not finite"),
]


def test_lawful_network_passes() -> None:
    check_denoiser(Small(VOCABULARY), VOCABULARY)


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=lambda x: getattr(x, "__name__", ""))
def test_fault_is_found(fault: Callable[[Inside], dict[str, Tensor]], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_denoiser(Small(VOCABULARY, fault), VOCABULARY)


def test_changed_input_is_found() -> None:
    class Greedy(Small):
        def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
            out = super().forward(noisy, t, context)
            noisy.pos.mul_(2)
            return out

    with pytest.raises(AssertionError, match="the call changed its input noisy pos"):
        check_denoiser(Greedy(VOCABULARY), VOCABULARY)


def test_missing_field_is_found() -> None:
    class Silent(Small):
        def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
            return Prediction(super().forward(noisy, t, context).pos)

    with pytest.raises(AssertionError, match="got predictions of"):
        check_denoiser(Silent(VOCABULARY), VOCABULARY)


@pytest.mark.parametrize(
    ("field", "sizes"),
    [("pos", r"\(4, 7, 2\); expected \(4, 7, 3\)"), ("atom_types", r"\(4, 7, 2\); expected \(4, 7, 3\)"),
     ("charges", r"\(4, 7, 2\); expected \(4, 7, 3\)"), ("bond_types", r"\(4, 21, 2\); expected \(4, 21, 4\)")],
)  # fmt: skip
def test_wrong_number_of_classes_is_found(field: str, sizes: str) -> None:
    class Short(Small):
        def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
            fields = super().forward(noisy, t, context).present()
            return Prediction(**{k: v[..., :2] if k == field else v for k, v in fields.items()})

    with pytest.raises(AssertionError, match=f"got {field} of shape {sizes}"):
        check_denoiser(Short(VOCABULARY), VOCABULARY)


def test_denoiser_is_left_as_it_is() -> None:
    network = Small(VOCABULARY)
    check_denoiser(network, VOCABULARY)
    assert network.weight.tolist() == [1, 1, 1]
    assert network.weight.dtype == torch.float32


def test_random_batches_are_as_the_package_wants_them() -> None:
    batch = random_batch(VOCABULARY, (4, 1, 3), seed=1)
    assert batch.num_atoms.tolist() == [4, 1, 3]
    assert batch.pos.dtype == torch.float64
    for name, count in (("atom_types", 3), ("charges", 3), ("bond_types", 4)):
        value, here = getattr(batch, name), batch.mask_of(name)
        assert (value[~here] == 0).all()
        assert value.max() < count
    assert (batch.pos[~batch.mask] == 0).all()
    again, other = random_batch(VOCABULARY, (4, 1, 3), seed=1), random_batch(VOCABULARY, (4, 1, 3), seed=2)
    assert torch.equal(batch.pos, again.pos)
    assert not torch.equal(batch.pos, other.pos)
    relaxed = random_batch(VOCABULARY, (4, 1), fields=("pos", "charges"), relaxed=True)
    assert relaxed.charges.shape == (2, 4, 3)
    assert relaxed.atom_types is None


@pytest.mark.parametrize("wrong", [False, True])
def test_layers_are_subjects_too(wrong: bool) -> None:
    """The example of the module's text: a layer of invariants and coordinates."""

    def layer(x: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
        i, j = pair_indices(mask.shape[1])
        square = (x["pos"][:, i] - x["pos"][:, j]).square().sum(-1, keepdim=True)
        return {"e": x["e"] + (x["pos"][:, i] if wrong else square), "pos": 2 * x["pos"] - x["pos"].detach()}

    mask = random_mask((4, 2))
    inputs = {"e": torch.randn(2, 6, 3), "pos": torch.randn(2, 4, 3)}
    subject = Subject(layer, inputs, mask, {"e": PAIRS, "pos": POINTS, "h": ATOMS})
    if not wrong:
        assert_equivariant(subject)
        assert_permutation_equivariant(subject)
        return
    for law in (assert_equivariant, assert_permutation_equivariant):
        with pytest.raises(AssertionError, match="changes e by"):
            law(subject)
