"""Classifier-free guidance: its limits, and the laws that a guided denoiser keeps."""

import pytest
import torch

from moldiff.chem.vocabulary import DRUG_VOCABULARY
from moldiff.data.pocket_batch import PocketBatch
from moldiff.diffusion.classifier_free import GuidedDenoiser
from moldiff.models import Context, EquivariantGraphTransformer, PocketEncoder, Prediction
from moldiff.models.denoiser import FIELDS
from moldiff.testing import check_denoiser, random_batch, random_mask

SIZES = (7, 4, 1, 3)
BATCH = random_batch(DRUG_VOCABULARY, SIZES)
TIMES = torch.tensor([0.1, 0.4, 0.6, 0.9], dtype=torch.float64)


@pytest.fixture(scope="module")
def network() -> EquivariantGraphTransformer:
    torch.manual_seed(0)
    encoder = PocketEncoder("residue", width=16, vector_channels=4, num_neighbours=5)
    out = EquivariantGraphTransformer(
        DRUG_VOCABULARY, 16, 8, 4, 2, 2, 2, 8, pocket_encoder=encoder, properties=("qed", "logp")
    ).double()
    with torch.no_grad():
        for parameter in out.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return out.eval()


@pytest.fixture(scope="module")
def context(network) -> Context:
    mask = random_mask((20, 9, 15, 4))
    pos = 4 * torch.randn(*mask.shape, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    pocket = PocketBatch(pos, torch.ones(mask.shape).long() * mask, 0.3 * pos, mask, "residue")
    estimate = random_batch(DRUG_VOCABULARY, SIZES, 10, relaxed=True)
    previous = Prediction(*(getattr(estimate, name) for name in FIELDS))
    asked = torch.tensor([[0.5, torch.nan], [1.0, 2.0], [-1.0, 0.0], [torch.nan, 0.3]], dtype=torch.float64)
    return Context(previous, pocket, asked)


@torch.no_grad()
def answer(network, context: Context) -> Prediction:
    return network(BATCH, TIMES, network.prepare(context))


def assert_close(first: Prediction, second: Prediction) -> None:
    for name, value in first.present().items():
        here = BATCH.mask_of(name)
        torch.testing.assert_close(value[here], getattr(second, name)[here], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("given", ["properties", "pocket", "both", "one pocket and one value for all"])
def test_limits(network, context, given) -> None:
    """At scale 1 the network with its conditions, at 0 without; beyond, as far again as from 0 to 1."""
    pocket, asked = context.pocket, context.properties
    if given.startswith("one"):
        pocket, asked = pocket[0], asked[:1]
    full = Context(context.previous, None if given == "properties" else pocket, None if given == "pocket" else asked)
    with_them, without = answer(network, full), answer(network, Context(context.previous))
    assert not torch.allclose(with_them.atom_types, without.atom_types)
    assert_close(answer(GuidedDenoiser(network, 1.0), full), with_them)
    assert_close(answer(GuidedDenoiser(network, 0.0), full), without)
    twice = {k: 2 * v - getattr(without, k) for k, v in with_them.present().items()}
    assert_close(answer(GuidedDenoiser(network, 2.0), full), Prediction(**twice))


def test_without_conditions_there_is_nothing_to_follow(network, context) -> None:
    alone = Context(context.previous)
    assert_close(answer(GuidedDenoiser(network, 3.0), alone), answer(network, alone))


def test_laws_of_denoisers_hold(network) -> None:
    check_denoiser(GuidedDenoiser(network, 2.5), DRUG_VOCABULARY, SIZES)
