"""Laws of a denoiser that sees a pocket."""

import copy

import pytest
import torch

from moldiff.chem.vocabulary import DRUG_VOCABULARY
from moldiff.data.pocket_batch import ComplexBatch, PocketBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion import CategoricalProcess, EulerSampler, GaussianProcess, JointProcess, StreamNoise
from moldiff.diffusion.likelihood import VariationalBound
from moldiff.diffusion.model import Model
from moldiff.models import EGNN, Context, EncodedPocket, EquivariantGraphTransformer, PocketEncoder, Prediction
from moldiff.models.denoiser import FIELDS
from moldiff.testing import check_denoiser, random_batch, random_mask

SIZES, POINTS = (7, 4, 1, 3), (20, 9, 15, 4)


@pytest.fixture(params=["atom", "residue"])
def network(request: pytest.FixtureRequest) -> EquivariantGraphTransformer:
    torch.manual_seed(0)
    out = EquivariantGraphTransformer(
        DRUG_VOCABULARY,
        width=32,
        pair_width=8,
        vector_channels=4,
        num_heads=2,
        num_blocks=2,
        pocket_encoder=PocketEncoder(request.param, width=16, vector_channels=4, num_neighbours=5),
        num_pocket_neighbours=6,
    ).double()
    with torch.no_grad():
        for parameter in out.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return out.eval()


@pytest.fixture
def pocket(network: EquivariantGraphTransformer) -> PocketBatch:
    generator = torch.Generator().manual_seed(1)
    mask = random_mask(POINTS)
    pos = 4 * torch.randn(*mask.shape, 3, generator=generator, dtype=torch.float64)
    direction = torch.randn(*mask.shape, 3, generator=generator, dtype=torch.float64)
    types = torch.randint(0, 21, mask.shape, generator=generator)
    return PocketBatch(pos, types * mask, direction, mask, network.pocket_encoder.level)


@pytest.fixture(params=[False, True], ids=["first", "self-conditioned"])
def previous(request: pytest.FixtureRequest) -> Prediction | None:
    if not request.param:
        return None
    estimate = random_batch(DRUG_VOCABULARY, SIZES, 10, relaxed=True)
    return Prediction(*(getattr(estimate, name) for name in FIELDS))


BATCH, TIMES = random_batch(DRUG_VOCABULARY, SIZES), torch.tensor([0.1, 0.4, 0.6, 0.9], dtype=torch.float64)


@torch.no_grad()
def answer(network, batch=BATCH, t=TIMES, previous=None, pocket=None) -> dict[str, torch.Tensor]:
    return network(batch, t, Context(previous, pocket)).present()


def assert_close(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor], mask=BATCH) -> None:
    for name, value in first.items():
        here = mask.mask_of(name)
        torch.testing.assert_close(value[here], second[name][here], atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("reflected", [False, True])
def test_molecule_and_pocket_moved_together(network, pocket, previous, reflected) -> None:
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    q = q * torch.linalg.det(q) * (-1 if reflected else 1)
    shift = torch.tensor([3.0, -20.0, 1.0], dtype=torch.float64)
    turned = BATCH.replace(pos=(BATCH.pos @ q.T + shift) * BATCH.mask[..., None])
    old = None if previous is None else Prediction(previous.pos @ q.T, *list(previous.present().values())[1:])
    moved = pocket.replace(pos=pocket.pos @ q.T + shift, direction=pocket.direction @ q.T)
    out = answer(network, previous=previous, pocket=pocket)
    assert_close({**out, "pos": out["pos"] @ q.T}, answer(network, turned, previous=old, pocket=moved))


def test_molecule_moved_alone_is_seen(network, pocket) -> None:
    shifted = BATCH.replace(pos=(BATCH.pos + 2) * BATCH.mask[..., None])
    first, second = answer(network, pocket=pocket), answer(network, shifted, pocket=pocket)
    assert all((first[name] - second[name])[0].abs().max() > 1e-4 for name in first)
    assert_close(answer(network), answer(network, shifted))  # without a pocket, the place is nothing


def test_every_part_of_the_pocket_is_seen(network, pocket) -> None:
    out = answer(network, pocket=pocket)
    others = {"pos": pocket.pos * 0.9, "types": (pocket.types + 1) % 21}
    if pocket.level == "residue":
        others["direction"] = -pocket.direction
    for name, value in others.items():
        changed = answer(network, pocket=pocket.replace(**{name: value}))
        assert all((out[field] - changed[field])[0].abs().max() > 1e-5 for field in out), name


def test_order_of_the_points_does_not_matter(network, pocket, previous) -> None:
    order = torch.cat([torch.randperm(4), torch.arange(4, 20)])  # the smallest pocket has 4 points
    shuffled = pocket.replace(
        pos=pocket.pos[:, order], types=pocket.types[:, order], direction=pocket.direction[:, order]
    )
    assert_close(answer(network, previous=previous, pocket=pocket), answer(network, previous=previous, pocket=shuffled))


def test_padding_does_not_matter(network, pocket, previous) -> None:
    def longer(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, torch.ones(len(x), 5, *x.shape[2:]).to(x)], 1)

    mask = torch.cat([pocket.mask, torch.zeros(4, 5, dtype=torch.bool)], 1)
    more = PocketBatch(longer(pocket.pos), longer(pocket.types), longer(pocket.direction), mask, pocket.level)
    assert_close(answer(network, previous=previous, pocket=pocket), answer(network, previous=previous, pocket=more))


@pytest.mark.parametrize("points", [1, 3])
def test_padding_of_a_small_pocket_does_not_matter(network, pocket, previous, points) -> None:
    """With fewer points than an atom looks for, down to one."""
    padded = pocket[0].replace(mask=torch.arange(20)[None] < points)
    first = answer(network, previous=previous, pocket=padded)
    assert_close(first, answer(network, previous=previous, pocket=padded._map(lambda x: x[:, :points])))


def test_molecules_see_their_own_pocket_only(network, pocket, previous) -> None:
    together = answer(network, previous=previous, pocket=pocket)
    for row in range(len(SIZES)):
        here = slice(row, row + 1)
        one = BATCH._map(lambda x, here=here: x[here])
        old = None if previous is None else Prediction(*(v[here] for v in previous.present().values()))
        alone = answer(network, one, TIMES[here], old, pocket[row])
        assert_close(alone, {name: value[here] for name, value in together.items()}, one)


def test_a_row_without_pocket_is_as_if_there_were_none(network, pocket, previous) -> None:
    hidden = pocket.replace(mask=pocket.mask & torch.tensor([True, False, True, False])[:, None])
    none, some = answer(network, previous=previous), answer(network, previous=previous, pocket=hidden)
    for row, there in enumerate((True, False, True, False)):
        same = torch.allclose(none["atom_types"][row], some["atom_types"][row], atol=1e-9)
        assert same is not there


def test_pockets_may_all_be_hidden(network, pocket, previous) -> None:
    """As happens to a batch of one complex in training."""
    hidden = pocket.replace(mask=torch.zeros_like(pocket.mask))
    assert_close(answer(network, previous=previous), answer(network, previous=previous, pocket=hidden))
    network.train()(
        BATCH, TIMES, Context(previous, network.prepare(Context(pocket=hidden)).pocket)
    ).pos.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_prepared_once_is_the_same(network, pocket, previous) -> None:
    prepared = network.prepare(Context(previous, pocket))
    assert isinstance(prepared.pocket, EncodedPocket)
    assert network.prepare(prepared) is prepared
    with torch.no_grad():
        out = network(BATCH, TIMES, prepared).present()
    assert_close(out, answer(network, previous=previous, pocket=pocket))


def test_one_pocket_for_all_is_the_pocket_of_each(network, pocket, previous) -> None:
    one = answer(network, previous=previous, pocket=pocket[0])
    assert_close(one, answer(network, previous=previous, pocket=pocket[[0, 0, 0, 0]]))


def test_without_pocket_all_laws_hold(network) -> None:
    check_denoiser(copy.deepcopy(network).float(), DRUG_VOCABULARY)


def test_classes_are_those_of_the_vocabulary(network, pocket) -> None:
    out = answer(network, pocket=pocket)
    sizes = [out[name].shape[-1] for name in ("atom_types", "charges", "bond_types")]
    assert sizes == [len(DRUG_VOCABULARY.elements), len(DRUG_VOCABULARY.charges), len(DRUG_VOCABULARY.bond_orders)]


def test_gradients_reach_encoder_and_attention(network, pocket) -> None:
    out = network(BATCH, TIMES, Context(pocket=pocket))
    sum(value.square().sum() for value in out.present().values()).backward()
    for name, parameter in network.named_parameters():
        if name.startswith("pocket_") and not (name.endswith("direction_in.weight") and pocket.level == "atom"):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_wrong_pockets_are_refused(network, pocket) -> None:
    other = "residue" if pocket.level == "atom" else "atom"
    with pytest.raises(ValueError, match=f"got a pocket of the level '{other}'"):
        network.prepare(Context(pocket=PocketBatch(pocket.pos, pocket.types, pocket.direction, pocket.mask, other)))
    with pytest.raises(ValueError, match="EGNN takes no pocket"):
        EGNN(DRUG_VOCABULARY, width=8).prepare(Context(pocket=pocket))


def test_likelihood_is_that_of_the_place_in_the_pocket(network, pocket) -> None:
    """Moved together nothing changes; moved alone the molecule is another one, whose own coordinates are the same."""
    elements, charges = len(DRUG_VOCABULARY.elements), len(DRUG_VOCABULARY.charges)
    statistics = Statistics(
        DRUG_VOCABULARY,
        4,
        dict.fromkeys(SIZES, 1),
        (1 / elements,) * elements,
        (1 / charges,) * charges,
        (0.8, 0.1, 0.05, 0.05),
        1.7,
    )
    process = JointProcess(
        {"pos": GaussianProcess(), **{name: CategoricalProcess() for name in FIELDS[1:]}}, statistics
    )
    model = Model(network, process, EulerSampler(), 50, statistics, {})

    def bound(molecule: float, around: float) -> torch.Tensor:
        batch = BATCH.replace(pos=BATCH.pos + molecule * BATCH.mask[..., None])
        moved = ComplexBatch(batch, pocket.replace(pos=pocket.pos + around))
        noise = StreamNoise(torch.Generator().manual_seed(0))
        return VariationalBound(num_times=2, num_steps=20)(model, moved, noise).total

    here = bound(0.0, 0.0)
    assert here.isfinite().all()
    torch.testing.assert_close(bound(3.0, 3.0), here)
    assert ((bound(3.0, 0.0) - here).abs() > 1e-3).any()
