"""The laws that every denoiser and layer obeys, as assertions: for people who write their own.

    from moldiff.chem.vocabulary import Vocabulary
    from moldiff.testing import check_denoiser

    vocabulary = Vocabulary(("H", "C", "N", "O"))
    check_denoiser(MyDenoiser(vocabulary), vocabulary)  # AssertionError: turning the input changes atom_types by ...

`check_denoiser` runs them all. A layer is described by a `Subject`: a function of named tensors, and their roles,

    layer = MyLayer(width=8)
    subject = Subject(
        lambda x, mask: {"h": layer(x["h"], x["pos"], Pairs.of(mask))},
        inputs={"h": torch.randn(3, 6, 8), "pos": torch.randn(3, 6, 3)},
        mask=random_mask((6, 4, 1)),
        roles={"h": ATOMS, "pos": POINTS},
    )
    assert_equivariant(subject)

Everything is computed in float64, so that a broken law stands out from rounding. The default tolerance leaves room for
constants that were rounded to float32 when a network was built, as those of e3nn's tensor products.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch, pair_indices
from moldiff.models.denoiser import FIELDS, Context, Denoiser, Prediction

QM9 = Vocabulary(("H", "C", "N", "O", "F"))
TOLERANCE = 1e-6  # of differences, relative to the largest number of an output


@dataclass(frozen=True)
class Role:
    """What the second axis of a tensor counts, and how its third axis turns with the molecule.

    over: `molecules` (B, ...), `atoms` (B, N, ...) or `pairs` (B, P, ...; packed as in `MolBatch`, symmetric).
    irreps: of the third axis in e3nn's notation, "1o" for a vector; nothing for invariants.
    moves: whether it is shifted when the molecule is.
    """

    over: Literal["molecules", "atoms", "pairs"]
    irreps: str = ""
    moves: bool = False


POINTS, VECTORS = Role("atoms", "1o", moves=True), Role("atoms", "1o")
ATOMS, PAIRS, MOLECULES = Role("atoms"), Role("pairs"), Role("molecules")


@dataclass(frozen=True)
class Subject:
    """A function of named tensors and of the mask (B, N) of atoms, to named tensors; `roles` tells all their roles."""

    function: Callable[[dict[str, Tensor], Tensor], Mapping[str, Tensor]]
    inputs: Mapping[str, Tensor]
    mask: Tensor
    roles: Mapping[str, Role]

    def __call__(self, inputs: Mapping[str, Tensor] | None = None, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Call the function in float64, by default on its own inputs."""
        values = {k: v.double() if v.is_floating_point() else v for k, v in (inputs or self.inputs).items()}
        with torch.no_grad():
            return dict(self.function(values, self.mask if mask is None else mask))

    @staticmethod
    def of(
        denoiser: Denoiser,
        batch: MolBatch,
        t: Tensor,
        previous: Prediction | None = None,
        properties: Tensor | None = None,
    ) -> Subject:
        """A denoiser as a function of the fields that a noisy batch has, the time, an earlier estimate, and properties.

        The coordinates that a denoiser gives turn with its input but do not shift: they are about the centre.
        """
        network = copy.deepcopy(denoiser).double().eval()
        inputs = {f"noisy {k}": v for k in FIELDS if (v := getattr(batch, k)) is not None}
        if previous is not None:
            inputs |= {f"previous {k}": v for k, v in previous.present().items()}

        def function(x: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
            noisy = MolBatch(mask=mask, **{k: x.get(f"noisy {k}") for k in FIELDS})  # type: ignore[arg-type]
            old = {k: x[f"previous {k}"] for k in FIELDS if f"previous {k}" in x}
            context = Context(Prediction(**old) if old else None, properties=x.get("properties"))
            return network(noisy, x["t"], context).present()  # type: ignore[no-any-return]

        roles = {"t": MOLECULES, "properties": MOLECULES}
        for name, role in zip(FIELDS, (VECTORS, ATOMS, ATOMS, PAIRS), strict=True):
            roles |= {f"noisy {name}": POINTS if name == "pos" else role, f"previous {name}": role, name: role}
        if properties is not None:
            inputs["properties"] = properties
        return Subject(function, {**inputs, "t": t}, batch.mask, roles)


def random_mask(sizes: Sequence[int]) -> Tensor:
    """The mask (B, N) of molecules of these numbers of atoms."""
    return torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]


def random_batch(
    vocabulary: Vocabulary = QM9,
    sizes: Sequence[int] = (7, 4, 1, 2),
    seed: int = 0,
    fields: Sequence[str] = FIELDS,
    relaxed: bool = False,
) -> MolBatch:
    """Molecules of random coordinates (float64, spread 1.7 Å) and classes; fields that are not named are None.

    `relaxed`: real vectors (B, N, K) in place of class indices, as Gaussian processes on classes make them.
    """
    generator = torch.Generator().manual_seed(seed)
    mask = random_mask(sizes)
    widths = (len(vocabulary.elements), len(vocabulary.charges), len(vocabulary.bond_orders))
    pos = torch.randn(*mask.shape, 3, generator=generator, dtype=torch.float64) * 1.7 * mask[..., None]
    batch = MolBatch(pos, None, None, None, mask)
    for name, width in zip(FIELDS[1:], widths, strict=True):
        entries = batch.mask_of(name)
        if relaxed:
            value = torch.randn(*entries.shape, width, generator=generator, dtype=torch.float64) * entries[..., None]
        else:
            value = torch.randint(width, entries.shape, generator=generator) * entries
        if name in fields:
            batch = batch.replace(**{name: value})
    return batch


def check_denoiser(
    denoiser: Denoiser,
    vocabulary: Vocabulary = QM9,
    sizes: Sequence[int] = (7, 4, 1, 2),
    tolerance: float = TOLERANCE,
) -> None:
    """Assert all laws of `Denoiser`: on all fields as classes, and on coordinates and relaxed elements alone.

    A copy of the network is tested, with a little noise on all weights, so that layers that start from zero count too.
    If it reads properties, molecules are given some of them, and their predictions must depend on these.

    Args:
        denoiser: the network; it is not changed.
        vocabulary: the one that it was made with.
        sizes: numbers of atoms of the molecules of the test.
        tolerance: of differences, relative to the largest number of an output.

    Raises:
        AssertionError: naming the law, the output and the size of the difference.
    """
    network = _shaken(denoiser)
    for fields, relaxed, seed in ((FIELDS, False, 0), (("pos", "atom_types"), True, 1)):
        batch = random_batch(vocabulary, sizes, seed, fields, relaxed)
        estimate = random_batch(vocabulary, sizes, seed + 10, fields, relaxed=True)
        previous = Prediction(*(getattr(estimate, name) for name in FIELDS))
        t = torch.linspace(0.1, 0.9, len(sizes), dtype=torch.float64)
        for context in (None, previous) if denoiser.self_conditioning else (None,):
            subject = Subject.of(network, batch, t, context, some_properties(network, len(sizes)))
            assert set(subject()) == set(fields), f"got predictions of {sorted(subject())}; expected {sorted(fields)}"
            _assert_sizes(subject, vocabulary)
            assert_lawful(subject, tolerance)
            assert_depends_on(subject, "noisy pos")
            if network.properties:
                assert_depends_on(subject, "properties")


def _assert_sizes(subject: Subject, vocabulary: Vocabulary) -> None:
    """Assert that every prediction has an entry for each atom or pair, with as many numbers as there are classes."""
    classes = (3, len(vocabulary.elements), len(vocabulary.charges), len(vocabulary.bond_orders))
    widths = dict(zip(FIELDS, classes, strict=True))
    for name, value in subject().items():
        expected = (*_entries(subject.mask, subject.roles[name]).shape, widths[name])
        assert value.shape == expected, f"got {name} of shape {tuple(value.shape)}; expected {expected}"


def some_properties(denoiser: Denoiser, count: int) -> Tensor | None:
    """Properties (B, C) of `count` molecules for a denoiser, every other one not given; None if it reads none."""
    if not denoiser.properties:
        return None
    values = torch.linspace(-1.5, 1.5, count * len(denoiser.properties), dtype=torch.float64).reshape(count, -1)
    place = torch.arange(values.shape[1]) + torch.arange(count)[:, None]
    return values.masked_fill(place % 2 == 1, torch.nan)


def assert_lawful(subject: Subject, tolerance: float = TOLERANCE) -> None:
    """Assert all laws that a layer and a denoiser share."""
    assert_input_unchanged(subject)
    assert_equivariant(subject, tolerance=tolerance)
    assert_permutation_equivariant(subject, tolerance=tolerance)
    assert_batch_independent(subject, tolerance)
    assert_padding_has_no_effect(subject, tolerance=tolerance)


def assert_equivariant(subject: Subject, seed: int = 0, tolerance: float = TOLERANCE) -> None:
    """Assert that turned, reflected and shifted inputs give turned, reflected and shifted outputs."""
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    rotation, shift = q * torch.linalg.det(q), torch.randn(3, generator=generator, dtype=torch.float64)
    for name, matrix, by in (
        ("turning", rotation, 0 * shift),
        ("reflecting", -rotation, 0 * shift),
        ("shifting", torch.eye(3, dtype=torch.float64), shift),
    ):
        inputs = {k: _moved(v, subject.roles[k], matrix, by) for k, v in subject.inputs.items()}
        expected = {k: _moved(v, subject.roles[k], matrix, by) for k, v in subject().items()}
        _compare(f"{name} the input", subject(inputs), expected, subject, tolerance)


def assert_permutation_equivariant(subject: Subject, seed: int = 0, tolerance: float = TOLERANCE) -> None:
    """Assert that another order of the atoms of each molecule gives the same output in that order."""
    generator = torch.Generator().manual_seed(seed)
    key = torch.rand(subject.mask.shape, generator=generator) + ~subject.mask  # padded atoms stay at the end
    order = key.argsort(1)
    i, j = pair_indices(order.shape[1])
    high, low = torch.maximum(order[:, i], order[:, j]), torch.minimum(order[:, i], order[:, j])
    orders = {"atoms": order, "pairs": high * (high - 1) // 2 + low}

    def reordered(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {k: _gather(v, orders.get(subject.roles[k].over)) for k, v in values.items()}

    outputs = subject(reordered(subject.inputs))
    _compare("another order of the atoms", outputs, reordered(subject()), subject, tolerance)


def assert_batch_independent(subject: Subject, tolerance: float = TOLERANCE) -> None:
    """Assert that each molecule gives alone what it gives among the others."""
    together = subject()
    for row in range(len(subject.mask)):
        here = slice(row, row + 1)
        one = replace(subject, inputs={k: v[here] for k, v in subject.inputs.items()}, mask=subject.mask[here])
        expected = {k: v[here] for k, v in together.items()}
        _compare("leaving the other molecules out", one(), expected, one, tolerance)


def assert_padding_has_no_effect(subject: Subject, extra: int = 3, seed: int = 0, tolerance: float = TOLERANCE) -> None:
    """Assert that neither the number of padded atoms nor what stands in their place changes the other atoms' output."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.cat([subject.mask, subject.mask.new_zeros(len(subject.mask), extra)], 1)
    for what in ("more padding", "numbers in the padding"):
        inputs = dict(subject.inputs)
        for name, value in subject.inputs.items():
            role = subject.roles[name]
            if role.over == "molecules":
                continue
            here = _entries(mask, role)
            padded = value.new_zeros(*here.shape, *value.shape[2:])
            padded[:, : value.shape[1]] = value
            if what != "more padding":
                numbers = torch.randint(0, 2, padded.shape, generator=generator)
                padded[~here] = numbers[~here].to(value.dtype)
            inputs[name] = padded
        kept = {k: _entries(subject.mask, subject.roles[k]).shape[-1] for k in subject()}
        outputs = {
            k: v if subject.roles[k].over == "molecules" else v[:, : kept[k]] for k, v in subject(inputs, mask).items()
        }
        _compare(what, outputs, subject(), subject, tolerance)


def assert_input_unchanged(subject: Subject) -> None:
    """Assert that the function leaves its input as it is and gives the same output when it is called again."""
    before = {k: v.clone() for k, v in subject.inputs.items()}
    inputs, mask = {k: v.clone() for k, v in before.items()}, subject.mask.clone()
    first = {k: v.clone() for k, v in subject(inputs).items()}
    for name, value in before.items():
        same = (inputs[name] == value) | (inputs[name].isnan() & value.isnan())
        assert bool(same.all()), f"the call changed its input {name}"
    assert torch.equal(subject.mask, mask), "the call changed the mask"
    _compare("calling again", subject(inputs), first, subject, 0.0)


def assert_depends_on(subject: Subject, name: str) -> None:
    """Assert that every output changes with an input: the other laws hold for constants, too."""
    others = subject({**subject.inputs, name: 1.1 * subject.inputs[name]})
    for output, value in subject().items():
        assert not torch.equal(others[output], value), f"{output} does not depend on {name}"


def _shaken(denoiser: Denoiser, size: float = 0.02) -> Denoiser:
    """A copy with noise on all weights."""
    network = copy.deepcopy(denoiser)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter), alpha=size)
    return network


def _moved(value: Tensor, role: Role, matrix: Tensor, shift: Tensor) -> Tensor:
    """What a tensor becomes if the molecule is turned by an orthogonal matrix (on column vectors), then shifted."""
    if not role.irreps:
        return value
    if role.irreps != "1o":
        from e3nn import o3

        matrix = o3.Irreps(role.irreps).D_from_matrix(matrix)
    turned = torch.einsum("xy,bny...->bnx...", matrix, value.to(matrix))
    return turned + shift.reshape(-1, *[1] * (value.dim() - 3)) if role.moves else turned


def _gather(value: Tensor, order: Tensor | None) -> Tensor:
    """The entries of the second axis in another order for each molecule."""
    if order is None:
        return value
    return value.gather(1, order.reshape(*order.shape, *[1] * (value.dim() - 2)).expand_as(value))


def _entries(mask: Tensor, role: Role) -> Tensor:
    """Which entries exist: (B, N) atoms, (B, P) pairs, (B,) molecules."""
    if role.over == "pairs":
        i, j = pair_indices(mask.shape[1], mask.device)
        return mask[:, i] & mask[:, j]
    return mask if role.over == "atoms" else mask.any(1)


def _compare(
    what: str, got: Mapping[str, Tensor], expected: Mapping[str, Tensor], subject: Subject, tolerance: float
) -> None:
    """Assert that the entries that exist agree and are finite."""
    assert set(got) == set(expected), f"{what} changes which outputs there are: {sorted(got)}, not {sorted(expected)}"
    for name, value in expected.items():
        here = _entries(subject.mask, subject.roles[name])
        if not here.any():
            continue
        assert got[name].shape == value.shape, f"{name} has the shape {got[name].shape}; expected {value.shape}"
        a, b = got[name][here], value[here]
        assert bool(torch.isfinite(a).all()), f"{name} is not finite"
        size, worst = float(b.abs().max()), float((a - b).abs().max())
        assert worst <= tolerance * max(size, 1e-3), (
            f"{what} changes {name} by {worst:.2g}; its largest number is {size:.2g}, of which {tolerance:g} is allowed"
        )
