"""Laws of autoencoders made of any denoisers."""

import copy

import pytest
import torch
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.diffusion.frame import centre
from moldiff.models import Autoencoder, Denoiser, EquivariantGraphTransformer
from moldiff.models.denoiser import FIELDS
from moldiff.testing import ATOMS, PAIRS, POINTS, QM9, VECTORS, Subject, assert_lawful, random_batch

ROLES = {"atom_types": ATOMS, "charges": ATOMS, "bond_types": PAIRS}


@pytest.fixture
def autoencoder(denoiser: Denoiser) -> Autoencoder:
    """Each denoiser as encoder and as decoder, with weights that say something of every field."""
    made = Autoencoder(QM9, lambda _: copy.deepcopy(denoiser), lambda _: denoiser)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator).to(weight), alpha=0.05)
    return made.double().eval()


def latent_of(network: Autoencoder, batch: MolBatch) -> dict[str, Tensor]:
    latent = network.encode(batch)
    return {"latent points": latent.pos, "features": latent.atom_types}


def test_encoder_is_lawful(autoencoder: Autoencoder) -> None:
    batch = random_batch()
    inputs = {name: getattr(batch, name) for name in FIELDS}
    roles = {"pos": POINTS, **ROLES, "latent points": VECTORS, "features": ATOMS}
    assert_lawful(Subject(lambda x, mask: latent_of(autoencoder, MolBatch(mask=mask, **x)), inputs, batch.mask, roles))


def test_decoder_is_lawful(autoencoder: Autoencoder) -> None:
    latent = random_batch(fields=("atom_types",), relaxed=True)
    assert latent.atom_types is not None
    roles = {"points": POINTS, "features": ATOMS, "pos": VECTORS, **ROLES}

    def decode(x: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
        return autoencoder.decode(MolBatch(x["points"], x["features"], None, None, mask)).present()

    assert_lawful(Subject(decode, {"points": latent.pos, "features": latent.atom_types}, latent.mask, roles))


def test_latents_are_bounded(autoencoder: Autoencoder) -> None:
    """However large the answers of the encoder are: features of mean square 1, points within reach, and centred."""
    clean = centre(random_batch(sizes=(7, 4, 2)))
    with torch.no_grad():
        for weight in autoencoder.encoder.parameters():
            weight.mul_(3)
        latent = autoencoder.encode(clean)
    assert latent.atom_types is not None
    square = latent.atom_types.square().mean(-1)[clean.mask]
    assert ((square > 0.9) & (square < 1 + 1e-6)).all()
    assert (latent.atom_types[~clean.mask] == 0).all()
    shift = latent.pos - clean.pos  # without what centring took away again, which is no more than the reach
    assert shift.norm(dim=-1).max() <= 2 * autoencoder.reach
    torch.testing.assert_close(latent.pos.sum(1), torch.zeros(3, 3).double(), atol=1e-9, rtol=0)


def test_every_class_counts(autoencoder: Autoencoder) -> None:
    batch = random_batch(sizes=(6, 5))
    with torch.no_grad():
        features = autoencoder.encode(batch).atom_types
        for name, count in (("atom_types", 5), ("charges", 3), ("bond_types", 4)):
            other = batch.replace(**{name: (getattr(batch, name) + 1) % count})
            assert not torch.allclose(autoencoder.encode(other).atom_types, features)


@pytest.mark.parametrize("settings", [{"reach": 0.0}, {"position_noise": 0.0}, {"feature_noise": -1.0}])
def test_settings_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="need encoder_steps >= 0, reach > 0, position_noise > 0 and feature_noise"):
        Autoencoder(QM9, EquivariantGraphTransformer, EquivariantGraphTransformer, **settings)
