"""Laws of networks that read properties, and of the one that predicts them."""

import copy

import pytest
import torch

from moldiff.data.batch import MolBatch
from moldiff.models import EGNN, Context, EquivariantGraphTransformer, Prediction, PropertyRegressor
from moldiff.testing import (
    ATOMS,
    MOLECULES,
    POINTS,
    QM9,
    Subject,
    assert_depends_on,
    assert_lawful,
    random_batch,
)

SMALL = {"width": 16, "pair_width": 8, "vector_channels": 4, "num_heads": 2, "num_blocks": 2}
BATCH, TIMES = random_batch(), torch.tensor([0.1, 0.4, 0.6, 0.9], dtype=torch.float64)
NAN = torch.nan


@pytest.fixture
def network() -> EquivariantGraphTransformer:
    torch.manual_seed(0)
    return EquivariantGraphTransformer(QM9, **SMALL, properties=("gap", "mu")).double().eval()


@pytest.fixture
def trained(network: EquivariantGraphTransformer) -> EquivariantGraphTransformer:
    out = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in out.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return out


@torch.no_grad()
def answer(network, *rows: list[float]) -> Prediction:
    asked = torch.tensor(rows, dtype=torch.float64) if rows else None
    return network(BATCH, TIMES, Context(properties=asked))


def same(first: Prediction, second: Prediction) -> bool:
    return all(torch.equal(value, getattr(second, name)) for name, value in first.present().items())


def test_at_first_properties_have_no_effect(network) -> None:
    """The network is bit for bit the one without them, whose weights are drawn first."""
    plain = EquivariantGraphTransformer(QM9, **SMALL).double().eval()
    own = network.state_dict()
    plain.load_state_dict({name: value for name, value in own.items() if not name.startswith("property_")})
    assert len(plain.state_dict()) < len(own)
    with torch.no_grad():
        expected = plain(BATCH, TIMES)
    for rows in ([], [[0.3, -2.0]], [[NAN, 5.0]] * 4):
        assert same(answer(network, *rows), expected)


def test_what_is_not_given_is_learned(trained) -> None:
    """No context, and NaN, are the vectors of absence, which no value stands for."""
    nothing = answer(trained)
    assert same(answer(trained, [NAN, NAN]), nothing)
    assert not same(answer(trained, [0.0, 0.0]), nothing)
    before = answer(trained, [1.0, NAN])
    with torch.no_grad():
        trained.property_embedding.absent["mu"].add_(0.5)
    assert not same(answer(trained), nothing)
    assert not same(answer(trained, [1.0, NAN]), before)
    full = answer(trained, [1.0, 2.0])
    with torch.no_grad():
        trained.property_embedding.absent["mu"].add_(0.5)
    assert same(answer(trained, [1.0, 2.0]), full)


def test_every_property_is_heeded_by_its_own_molecule(trained) -> None:
    one = answer(trained, [0.5, NAN])
    for name, value in answer(trained, *[[0.5, NAN]] * 4).present().items():
        torch.testing.assert_close(value, getattr(one, name))
    assert not same(answer(trained, [NAN, 0.5]), one)
    mixed = answer(trained, [0.5, NAN], [0.5, NAN], [2.0, 1.0], [0.5, NAN])
    for row in (0, 1, 3):
        torch.testing.assert_close(mixed.pos[row], one.pos[row])
    assert not torch.allclose(mixed.atom_types[2, 0], one.atom_types[2, 0])


def test_networks_without_properties_say_so() -> None:
    assert EGNN(QM9, 12, 2).properties == ()


def test_regressor_is_invariant() -> None:
    torch.manual_seed(0)
    network = PropertyRegressor(QM9, ["gap", "mu"], **SMALL, num_bases=8).double()

    def values(x: dict[str, torch.Tensor], mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"values": network(MolBatch(x["pos"], x["elements"], None, None, mask))}

    inputs = {"pos": BATCH.pos, "elements": BATCH.atom_types}
    roles = {"pos": POINTS, "elements": ATOMS, "values": MOLECULES}
    subject = Subject(values, inputs, BATCH.mask, roles)
    assert_lawful(subject)
    assert_depends_on(subject, "pos")
    others = subject({**inputs, "elements": (BATCH.atom_types + 1) % 5})
    assert not torch.allclose(others["values"], subject()["values"])
    assert subject()["values"].shape == (4, 2)


def test_regressor_learns_a_property() -> None:
    """The mean distance from the centre, of random clouds: far below the error of the best constant."""
    torch.manual_seed(0)
    network = PropertyRegressor(QM9, ["radius"], **SMALL, num_bases=8)
    batch = random_batch(sizes=(6,) * 32)
    batch = batch.replace(pos=batch.pos.float())
    radius = (batch.pos - batch.pos.mean(1, keepdim=True)).norm(dim=-1).mean(1)
    wanted = ((radius - radius.mean()) / radius.std())[:, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(60):
        loss = (network(batch) - wanted).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.25 * wanted.abs().mean()


def test_regressor_needs_properties() -> None:
    with pytest.raises(ValueError, match="got no properties"):
        PropertyRegressor(QM9, [])
