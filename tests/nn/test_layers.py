"""Laws of the layers: symmetry, independence within a batch, no effect of padding, in float64."""

from collections.abc import Iterator

import pytest
import torch
from e3nn import o3
from torch import Tensor, nn

from moldiff.nn.atom_first import AtomFirst
from moldiff.nn.egnn_layer import EdgeNetwork, EGNNLayer
from moldiff.nn.geometry import centred
from moldiff.nn.graph_transformer_block import GraphTransformerBlock
from moldiff.nn.pairs import Pairs
from moldiff.nn.tensor_field_layer import EquivariantNorm, TensorFieldLayer
from moldiff.testing import ATOMS, PAIRS, POINTS, VECTORS, Role, Subject, assert_depends_on, assert_lawful, random_mask

SIZES = (6, 4, 1, 2)
MASK = random_mask(SIZES)
B, N = MASK.shape
P = N * (N - 1) // 2
IRREPS, SENT, HARMONICS = "6x0e+3x1o+2x2e", "4x0e+2x1o+1x2e", "1x0e+1x1o+1x2e"
STRICT = 1e-11


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Layers are built in float64, so that no constant in them is rounded to float32."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def shaken(layer: nn.Module) -> nn.Module:
    """The layer with weights away from their start, where some are zero or tiny."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return layer


def graph_transformer_block() -> Subject:
    layer = shaken(GraphTransformerBlock(width=8, pair_width=6, vector_channels=3, num_heads=2, expansion=2))

    def function(x: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
        first = (x["s"].transpose(0, 1), x["v"].permute(1, 2, 0, 3), x["e"].transpose(0, 1))
        s, v, e = layer(*first, AtomFirst.of(mask))
        return {"s": s.transpose(0, 1), "v": v.permute(2, 0, 1, 3), "e": e.transpose(0, 1)}

    return Subject(
        function,
        {"s": torch.randn(B, N, 8), "v": torch.randn(B, N, 3, 3), "e": torch.randn(B, P, 6)},
        MASK,
        {"s": ATOMS, "v": VECTORS, "e": PAIRS},
    )


def egnn_layer() -> Subject:
    layer = shaken(EGNNLayer(width=8, edge_width=2))
    return Subject(
        lambda x, mask: dict(zip(("h", "pos"), layer(x["h"], x["pos"], x["e"], Pairs.of(mask)), strict=True)),
        {"h": torch.randn(B, N, 8), "pos": 2 * torch.randn(B, N, 3), "e": torch.randn(B, P, 2)},
        MASK,
        {"h": ATOMS, "pos": POINTS, "e": PAIRS},
    )


def tensor_field_layer() -> Subject:
    layer = shaken(TensorFieldLayer(IRREPS, SENT, HARMONICS, edge_width=5, radial_width=7))

    def function(x: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
        pairs = Pairs.of(mask)
        y = o3.spherical_harmonics(o3.Irreps(HARMONICS), x["pos"][:, pairs.i] - x["pos"][:, pairs.j], normalize=True)
        return {"x": layer(x["x"], y, x["e"], pairs)}

    inputs = {
        "x": torch.randn(B, N, o3.Irreps(IRREPS).dim),
        "pos": torch.randn(B, N, 3),
        "e": torch.randn(B, P, 5),
    }
    return Subject(function, inputs, MASK, {"x": Role("atoms", IRREPS), "pos": POINTS, "e": PAIRS})


def equivariant_norm() -> Subject:
    layer = shaken(EquivariantNorm(IRREPS))
    x = torch.randn(B, N, o3.Irreps(IRREPS).dim)
    return Subject(lambda x, mask: {"x": layer(x["x"])}, {"x": x}, MASK, {"x": Role("atoms", IRREPS)})


def centring() -> Subject:
    def function(x: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
        return {"centred": centred(x["pos"], mask)}

    return Subject(function, {"pos": torch.randn(B, N, 3)}, MASK, {"pos": POINTS, "centred": VECTORS})


def sums_over_pairs() -> Subject:
    """Symmetric sums of invariants, antisymmetric ones of differences."""

    def function(x: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
        pairs = Pairs.of(mask)
        e = x["e"] * pairs.pair_mask[..., None]
        arrows = (x["pos"][:, pairs.i] - x["pos"][:, pairs.j]) * e[..., :1]
        return {
            "symmetric": pairs.sum_symmetric(e),
            "antisymmetric": pairs.sum_antisymmetric(arrows),
            "matrix": (pairs.full(e) * mask[:, None, :, None]).square().sum(2),
        }

    inputs = {"e": torch.randn(B, P, 4), "pos": torch.randn(B, N, 3)}
    roles = {"e": PAIRS, "pos": POINTS, "symmetric": ATOMS, "antisymmetric": VECTORS, "matrix": ATOMS}
    return Subject(function, inputs, MASK, roles)


LAYERS = (graph_transformer_block, egnn_layer, tensor_field_layer, equivariant_norm, centring, sums_over_pairs)


@pytest.mark.parametrize("make", LAYERS)
def test_laws(make: object) -> None:
    assert callable(make)
    assert_lawful(make(), STRICT)


@pytest.mark.parametrize(
    ("make", "name", "outputs"),
    [
        (graph_transformer_block, "v", "sve"),
        (graph_transformer_block, "e", "sve"),
        (graph_transformer_block, "s", "sve"),
        (egnn_layer, "pos", ("h", "pos")),
        (egnn_layer, "e", ("h", "pos")),
        (tensor_field_layer, "e", "x"),
        (tensor_field_layer, "x", "x"),
    ],
)
def test_every_output_depends_on(make: object, name: str, outputs: tuple[str, ...]) -> None:
    assert callable(make)
    subject = make()
    assert set(subject()) == set(outputs)
    assert_depends_on(subject, name)


def test_tensor_field_depends_on_directions() -> None:
    """Not on distances: it is given the harmonics only."""
    subject = tensor_field_layer()
    moved = subject({**subject.inputs, "pos": subject.inputs["pos"].roll(1, -1) * torch.tensor([1.0, 2.0, -1.0])})
    assert not torch.allclose(moved["x"], subject()["x"])


def test_egnn_messages_are_those_of_the_formula() -> None:
    """m_ij = silu(W silu(U [h_i, h_j, e_ij])), with U cut in three."""
    network, h, e = EdgeNetwork(8, 3), torch.randn(2, 4, 8), torch.randn(2, 4, 4, 3)
    weight = torch.cat([network.receiver.weight, network.sender.weight, network.edge.weight], 1)
    both = torch.cat([h[:, :, None].expand(-1, -1, 4, -1), h[:, None].expand(-1, 4, -1, -1), e], -1)
    silu = nn.functional.silu
    expected = silu(network.out(silu(both @ weight.T + network.receiver.bias)))
    torch.testing.assert_close(network(h, e), expected)


def test_egnn_moves_at_most_by_its_range() -> None:
    """The weight of each unit difference is bounded by the range."""
    layer = EGNNLayer(8, 1, coordinate_range=0.5)
    nn.init.constant_(layer.coordinate_weight.weight, 1e6)
    h, x, pairs = torch.randn(3, 5, 8), 10 * torch.randn(3, 5, 3), Pairs.of(torch.ones(3, 5, dtype=torch.bool))
    _, moved = layer(h, x, torch.randn(3, 10, 1), pairs)
    assert ((moved - x).norm(dim=-1) <= 4 * 0.5).all()
    assert ((moved - x).norm(dim=-1) > 0.1).any()


def test_norm_makes_features_of_size_one() -> None:
    x = 30 * torch.randn(4, 9, o3.Irreps(IRREPS).dim) + 5
    out = EquivariantNorm(IRREPS)(x)
    for part in out.split([6, 9, 10], -1):
        torch.testing.assert_close(part.square().mean(-1), torch.ones(4, 9), atol=1e-4, rtol=0)


@pytest.mark.parametrize("make", [graph_transformer_block, egnn_layer, tensor_field_layer])
def test_gradients_are_finite_for_atoms_in_one_place(make: object) -> None:
    assert callable(make)
    subject = make()
    inputs = {k: v.clone().requires_grad_() for k, v in subject.inputs.items()}
    name = "v" if "v" in inputs else "pos"
    with torch.no_grad():
        inputs[name][:] = 0
    torch.stack([v.square().sum() for v in subject.function(inputs, MASK).values()]).sum().backward()
    for value in inputs.values():
        assert value.grad is not None
        assert torch.isfinite(value.grad).all()
