"""Diffusion of latents: what a latent process promises, what is learned, what is refused."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from moldiff import MoleculeGenerator
from moldiff.data.batch import MolBatch
from moldiff.data.sdf import sdf_table
from moldiff.data.statistics import Statistics
from moldiff.diffusion import CategoricalProcess, GaussianProcess, JointProcess, LatentProcess, RadiusOfGyration
from moldiff.diffusion.frame import centre
from moldiff.diffusion.latent import process_of
from moldiff.diffusion.model import Model
from moldiff.diffusion.noise import StreamNoise
from moldiff.diffusion.sampler import MoleculeProcess, MultistepSampler
from moldiff.models import Autoencoder, EquivariantGraphTransformer, LatentDenoiser
from moldiff.models.denoiser import FIELDS
from moldiff.testing import random_batch

NETWORK = partial(
    EquivariantGraphTransformer, width=24, pair_width=12, vector_channels=6, num_heads=2, num_blocks=1, num_bases=16
)
AUTOENCODER = partial(Autoencoder, encoder=NETWORK, decoder=NETWORK, encoder_steps=2)
PROCESSES = {
    "pos": partial(GaussianProcess, align_noise=False),
    "atom_types": partial(GaussianProcess, align_noise=False, scale=1.0, centre=False),
}


def noise(seed: int = 0) -> StreamNoise:
    return StreamNoise(torch.Generator().manual_seed(seed))


def processes() -> dict[str, GaussianProcess]:
    return {name: make() for name, make in PROCESSES.items()}


@pytest.fixture
def denoiser(statistics: Statistics) -> LatentDenoiser:
    torch.manual_seed(0)
    return LatentDenoiser(statistics.vocabulary, AUTOENCODER, NETWORK)


@pytest.fixture
def process(denoiser: LatentDenoiser, statistics: Statistics) -> LatentProcess:
    made = process_of(denoiser, processes(), statistics)
    assert isinstance(made, LatentProcess)
    return made


@pytest.fixture
def clean() -> MolBatch:
    batch = random_batch(sizes=(6, 4, 1))
    return centre(batch.replace(pos=batch.pos.float()))


def assert_close(first: MolBatch, second: MolBatch, atol: float = 1e-6) -> None:
    torch.testing.assert_close(first.pos, second.pos, atol=atol, rtol=0)
    torch.testing.assert_close(first.atom_types, second.atom_types, atol=atol, rtol=0)


def test_samplers_take_it(process: LatentProcess) -> None:
    assert isinstance(process, MoleculeProcess)


def test_noise_comes_to_the_latents(process: LatentProcess, clean: MolBatch) -> None:
    """Near t = 0 they are what the encoder gives, at t = 1 they have the law of the prior."""
    latent = process.autoencoder.encode(clean)
    assert_close(process.corrupt(clean, torch.full((3,), 1e-7), noise()), latent, atol=1e-5)
    end, prior = process.corrupt(clean, torch.ones(3), noise()), process.prior(clean.mask, noise())
    assert_close(end, prior)
    assert prior.atom_types is not None
    assert prior.atom_types.shape == (3, 6, 5)
    assert (prior.charges, prior.bond_types) == (None, None)


def test_estimates_and_steps_are_those_of_the_latents(
    process: LatentProcess, denoiser: LatentDenoiser, clean: MolBatch
) -> None:
    """With the clean latent as answer, the loss is zero, and a step leads where the noise would have."""
    t, s = torch.tensor([0.9, 0.5, 0.2]), torch.tensor([0.7, 0.4, 0.1])
    noisy, truth = process.corrupt(clean, t, noise()), process.encode(clean)
    for name, value in process.loss(truth, clean, noisy, t).items():
        torch.testing.assert_close(value, torch.zeros(3), atol=1e-6, rtol=0, msg=name)
    options = MultistepSampler().options
    stepped = process.step(noisy, process.estimate(noisy, truth, t), t, s, noise(1), options)
    assert_close(stepped, process.corrupt(clean, s, noise()), atol=1e-5)
    assert process.signal(t).argsort().tolist() == [0, 1, 2]


def test_molecules_come_out(process: LatentProcess, clean: MolBatch) -> None:
    """All classes are decoded, as indices."""
    out = process.decode(process.encode(clean), clean.mask)
    for name in FIELDS[1:]:
        assert getattr(out, name).shape == getattr(clean, name).shape
        assert not getattr(out, name).is_floating_point()


def test_encoder_learns_for_its_steps_only(process: LatentProcess, denoiser: LatentDenoiser, clean: MolBatch) -> None:
    """The decoder goes on; the diffusion trains neither of them."""

    def trained(losses: dict[str, Tensor]) -> set[str]:
        denoiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        names = {
            n.removeprefix("autoencoder.").split(".")[0] for n, p in denoiser.named_parameters() if p.grad is not None
        }
        return names

    denoiser.train()
    noisy, t = process.corrupt(clean, torch.full((3,), 0.5), noise()), torch.full((3,), 0.5)
    assert trained(process.loss(denoiser(noisy, t), clean, noisy, t)) == {"denoiser"}
    for step in range(4):
        assert trained(process.coding_loss(clean, noise())) == {"decoder"} | ({"encoder"} if step < 2 else set())
    assert float(denoiser.autoencoder.encoder_age) == 2
    denoiser.eval()
    denoiser.autoencoder.encoder_age.zero_()
    process.coding_loss(clean, noise())
    assert float(denoiser.autoencoder.encoder_age) == 0, "scoring is no learning"


def test_coding_loss_of_nothing_lost(process: LatentProcess, clean: MolBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is zero for a decoder that knows the molecule, and a tenth of 1 / noise^2 for coordinates 1 Å off."""
    truth = JointProcess({"pos": GaussianProcess()}).encode(clean)
    logits = {name: 100 * torch.nn.functional.one_hot(getattr(clean, name), 5).float() for name in FIELDS[1:]}
    answer = type(truth)(truth.pos, **logits)
    monkeypatch.setattr(process.autoencoder, "decode", lambda _: answer)
    losses = process.coding_loss(clean, noise())
    assert list(losses) == [f"decoded_{name}" for name in FIELDS]
    for value in losses.values():
        torch.testing.assert_close(value, torch.zeros(3), atol=1e-6, rtol=0)
    monkeypatch.setattr(process.autoencoder, "decode", lambda _: type(truth)(truth.pos + 1, **logits))
    torch.testing.assert_close(process.coding_loss(clean, noise())["decoded_pos"], torch.full((3,), 0.1 / 0.03**2))


def test_molecules_are_learned(root: Path) -> None:
    """Some molecules of QM9, learned by heart, come back: elements, charges, nearly all bonds, and coordinates."""
    table = sdf_table(root / "tests" / "fixtures" / "qm9_200.sdf")
    clean = centre(table.batch((table.sizes == 12).nonzero().flatten().tolist()[:4]))
    torch.manual_seed(0)
    process = process_of(
        LatentDenoiser(table.vocabulary, partial(AUTOENCODER, encoder_steps=1000, feature_noise=0.1), NETWORK),
        processes(),
        Statistics.of(table),
    )
    assert isinstance(process, LatentProcess)
    optimizer = torch.optim.Adam(process.autoencoder.parameters(), lr=4e-3)
    for step in range(120):
        loss = torch.stack(list(process.coding_loss(clean, noise(step)).values())).sum(0).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(process.autoencoder.parameters(), 1.0)
        optimizer.step()
    process.autoencoder.eval()
    again = process.decode(process.encode(clean), clean.mask)
    assert torch.equal(again.atom_types, clean.atom_types)
    assert torch.equal(again.charges, clean.charges)
    assert (again.bond_types == clean.bond_types).float().mean() > 0.95  # 0.83 have no bond
    assert (again.pos - clean.pos).square().sum(-1).mean().sqrt() < 0.1


def test_what_has_no_meaning_is_refused(statistics: Statistics, denoiser: LatentDenoiser, clean: MolBatch) -> None:
    with pytest.raises(ValueError, match="expected a GaussianProcess each for pos and atom_types, got"):
        process_of(denoiser, {"pos": GaussianProcess(), "atom_types": CategoricalProcess()}, statistics)
    for wrong in ({"align_noise": False}, {"centre": False}):  # the others are those of coordinates
        with pytest.raises(ValueError, match="expected centre = false and align_noise = false for atom_types"):
            process_of(denoiser, {"pos": GaussianProcess(), "atom_types": GaussianProcess(**wrong)}, statistics)
    process = process_of(denoiser, processes(), statistics)
    with pytest.raises(ValueError, match="the data have no charges, which the autoencoder reads"):
        process.corrupt(clean.replace(charges=None), torch.ones(3), noise())
    with pytest.raises(ValueError, match="no bound of the likelihood of molecules"):
        process.bounded()


@pytest.fixture
def generator(denoiser: LatentDenoiser, process: LatentProcess, statistics: Statistics) -> MoleculeGenerator:
    return MoleculeGenerator(Model(denoiser, process, MultistepSampler(), 4, statistics, {}), "tiny", "cpu", "float32")


def test_conditions_on_estimates_are_refused(generator: MoleculeGenerator) -> None:
    with pytest.raises(ValueError, match="need a model whose estimates are molecules: got one of latents"):
        generator.sample(1, guides=[RadiusOfGyration(3.0)], progress=False)
    with pytest.raises(ValueError, match="takes no pocket"):
        generator.site("pocket.pdb")


def test_trajectory_shows_molecules(generator: MoleculeGenerator) -> None:
    """Points of noise with the atoms of the clean estimate; at the end, the molecule that is sampled."""
    shown, drawn = generator.trajectory(0, seed=3), generator.sample(1, seed=3, progress=False).arrays[0]
    assert len(shown.frames) == 5
    first, last = shown.frames[0], shown.frames[-1]
    assert (first.noisy.atomic_numbers == first.clean.atomic_numbers).all()
    assert abs(first.noisy.positions - first.clean.positions).max() > 0.1
    assert (last.clean.atomic_numbers == drawn.atomic_numbers).all()
    assert abs(last.clean.positions - drawn.positions).max() < 1e-5
