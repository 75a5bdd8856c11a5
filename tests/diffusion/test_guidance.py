"""Gradient guidance: shifts of the clean estimate and their bounds, the guides, every sampler."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from moldiff import MoleculeGenerator
from moldiff.chem.pocket import Pocket
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.pocket_table import PocketTable
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable
from moldiff.diffusion import (
    AtomDistance,
    CategoricalProcess,
    GaussianProcess,
    GuidedProcess,
    JointProcess,
    MoleculeNoise,
    OneHotGaussianProcess,
    PocketClashes,
    PredictedProperty,
    RadiusOfGyration,
    Sampler,
)
from moldiff.diffusion.frame import centre
from moldiff.diffusion.guidance import _within_reach
from moldiff.diffusion.placement import PlacedProcess
from moldiff.models import Denoiser, Prediction
from moldiff.nn.geometry import centred, mean_position
from moldiff.testing import random_batch

SIZES = (6, 3, 4)


@pytest.fixture
def clean() -> MolBatch:
    batch = random_batch(sizes=SIZES)
    return centre(batch.replace(pos=batch.pos.float()))


def joint(statistics: Statistics, one_hot: bool = False) -> JointProcess:
    fields = {"charges": CategoricalProcess(), "bond_types": CategoricalProcess()}
    types = OneHotGaussianProcess() if one_hot else CategoricalProcess()
    return JointProcess({"pos": GaussianProcess(align_noise=False), "atom_types": types, **fields}, statistics)


def output(clean: MolBatch) -> Prediction:
    """Of a network that knows coordinates and nothing of classes."""
    b, n = clean.mask.shape
    pairs = n * (n - 1) // 2
    return Prediction(clean.pos, torch.zeros(b, n, 5), torch.zeros(b, n, 3), torch.zeros(b, pairs, 4))


def estimate(process: GuidedProcess | JointProcess, clean: MolBatch, time: float) -> Prediction:
    return process.estimate(clean, output(clean), torch.full((len(clean),), time))


def extent(pos: Tensor, mask: Tensor) -> Tensor:
    return (centred(pos, mask).square().sum((1, 2)) / mask.sum(1)).sqrt()


# ---- the process


def test_estimates_that_reach_too_far_are_drawn_in(statistics: Statistics, clean: MolBatch) -> None:
    """About their mean, or that of fixed atoms, which stay; others stay exactly as they are."""

    def nothing(estimate: Prediction, mask: Tensor) -> Tensor:
        return 0 * estimate.pos.sum((1, 2))

    process, t = GuidedProcess(PlacedProcess(joint(statistics)), [nothing]), torch.full((len(clean),), 0.5)
    noisy, said = clean.replace(pos=clean.pos + 7), output(clean)
    near, far = (process.estimate(noisy, replace(said, pos=x * said.pos), t) for x in (1.0, 1e3))
    torch.testing.assert_close(near.pos[clean.mask], noisy.pos[clean.mask], atol=1e-4, rtol=0)
    unguided = process.process.estimate(noisy, said, t).pos
    assert torch.equal(_within_reach(Prediction(unguided), noisy, 0).pos, unguided)
    wide = unguided.clone()
    wide[:, 2] += 100
    drawn = _within_reach(Prediction(wide), noisy, 2).pos
    assert torch.equal(drawn[:, :2], wide[:, :2])
    assert (centred(drawn, clean.mask).norm(dim=-1).amax(1) < 40).all()
    radius = centred(clean.pos, clean.mask).norm(dim=-1).amax(1)
    reached = centred(far.pos, clean.mask).norm(dim=-1).amax(1)
    torch.testing.assert_close(reached, 3 * (radius + 2), atol=1e-2, rtol=0)
    torch.testing.assert_close(
        mean_position(far.pos, clean.mask), mean_position(noisy.pos, clean.mask), atol=1e-2, rtol=0
    )


def test_scale_one_reaches_the_aim_where_no_bound_holds_it_back(statistics: Statistics, clean: MolBatch) -> None:
    near = float(extent(clean.pos, clean.mask)[0]) + 0.1
    only = clean.take(torch.tensor([0]))
    guided = estimate(GuidedProcess(joint(statistics), [RadiusOfGyration(near)]), only, 1.0)
    assert float(extent(guided.pos, only.mask)[0]) == pytest.approx(near, abs=1e-4)
    distance = float((clean.pos[0, 0] - clean.pos[0, 1]).norm()) - 0.3
    guided = estimate(GuidedProcess(joint(statistics), [AtomDistance(0, 1, distance)]), only, 1.0)
    assert float((guided.pos[0, 0] - guided.pos[0, 1]).norm()) == pytest.approx(distance, abs=1e-4)


@pytest.mark.parametrize("time", [1.0, 0.5, 0.1, 0.001])
def test_shifts_are_bounded_whatever_the_guide(statistics: Statistics, clean: MolBatch, time: float) -> None:
    def steep(seen: Prediction, mask: Tensor) -> Tensor:
        assert seen.atom_types is not None
        return 1e12 * ((seen.pos * mask[..., None]).pow(4).sum((1, 2)) + (seen.atom_types[..., 1] * mask).sum(1))

    process = joint(statistics)
    plain, guided = (estimate(p, clean, time) for p in (process, GuidedProcess(process, [steep])))
    unknown = time / math.hypot(time, 1 - time)
    assert 0 < (guided.pos - plain.pos).norm(dim=-1).max() <= 2 * 2.0 * unknown  # and as much by centring
    ratio = (guided.atom_types / plain.atom_types).log()[clean.mask]
    assert (ratio.amax(-1) - ratio.amin(-1)).max() <= 2 * 2.0 * unknown + 1e-4
    assert float(ratio[:, 1].max()) < 0
    torch.testing.assert_close(guided.atom_types.sum(-1), torch.ones(clean.mask.shape))
    torch.testing.assert_close(mean_position(guided.pos, clean.mask), torch.zeros(3, 1, 3), atol=1e-5, rtol=0)
    assert torch.equal(guided.charges, plain.charges)


def test_gradients_that_are_not_finite_count_as_zero(statistics: Statistics, clean: MolBatch) -> None:
    process = joint(statistics)
    guided = estimate(GuidedProcess(process, [lambda seen, mask: seen.pos.sum((1, 2)) * torch.nan]), clean, 0.5)
    torch.testing.assert_close(guided.pos, estimate(process, clean, 0.5).pos)


def test_what_is_certain_stays_so(statistics: Statistics, clean: MolBatch) -> None:
    """Fixed atoms have probabilities 0 and 1, and do not move."""

    class Certain(JointProcess):
        def estimate(self, noisy: MolBatch, output: Prediction, t: Tensor) -> Prediction:
            return self.encode(noisy)

    def pull(seen: Prediction, mask: Tensor) -> Tensor:
        assert seen.atom_types is not None
        return (seen.pos[..., 0] - 9).square().sum(1) + 50 * seen.atom_types[..., 1].sum(1)

    process = Certain(dict(joint(statistics).processes.items()), statistics)
    guided = estimate(GuidedProcess(process, [pull], num_fixed=2), clean, 1.0)
    torch.testing.assert_close(guided.pos[:, :2], clean.pos[:, :2])
    assert ((guided.pos - clean.pos)[:, 2:, 0][clean.mask[:, 2:]] > 0.1).all()
    torch.testing.assert_close(guided.atom_types, process.encode(clean).atom_types)


def test_scaled_one_hot_vectors_are_seen_as_probabilities(statistics: Statistics, clean: MolBatch) -> None:
    seen: list[Tensor] = []

    def against_carbon(estimate: Prediction, mask: Tensor) -> Tensor:
        assert estimate.atom_types is not None
        seen.append(estimate.atom_types.detach())
        return (estimate.atom_types[..., 1] * mask).sum(1)

    process = joint(statistics, one_hot=True)
    relaxed = clean.replace(atom_types=process.encode(clean).atom_types)
    out = Prediction(**{**output(clean).present(), "atom_types": -0.1 * torch.ones(3, 6, 5)})
    t = torch.full((3,), 0.5)
    plain, guided = (
        p.estimate(relaxed, out, t).atom_types for p in (process, GuidedProcess(process, [against_carbon]))
    )
    known = seen[0][plain.clamp(min=0).sum(-1) > 0]
    torch.testing.assert_close(known.sum(-1), torch.ones(len(known)))
    assert known.min() >= 0
    assert (guided[..., 1] <= plain[..., 1] + 1e-6).all()
    assert (guided[..., 1] < plain[..., 1] - 1e-3)[clean.mask].all()
    torch.testing.assert_close(guided.sum(-1), plain.sum(-1))


def test_energy_must_depend_on_the_molecule(statistics: Statistics, clean: MolBatch) -> None:
    with pytest.raises(ValueError, match="does not depend on the molecule"):
        estimate(GuidedProcess(joint(statistics), [lambda seen, mask: torch.zeros(len(mask))]), clean, 0.5)


# ---- in a pocket


def test_placed_molecules_follow_their_estimate(statistics: Statistics, clean: MolBatch) -> None:
    """All that a centred process does, it does elsewhere, too; and a guide may move the whole molecule."""
    process, shift, t = joint(statistics), torch.tensor([1.0, -2.0, 3.0]), torch.full((3,), 0.5)
    placed, there = PlacedProcess(process), clean.replace(pos=clean.pos + torch.tensor([1.0, -2.0, 3.0]))
    noisy = [p.corrupt(c, t, MoleculeNoise(0, torch.arange(3))) for p, c in ((process, clean), (placed, there))]
    torch.testing.assert_close(noisy[1].pos[clean.mask], (noisy[0].pos + shift)[clean.mask], atol=1e-4, rtol=0)
    first, second = (p.estimate(x, output(clean), t) for p, x in ((process, noisy[0]), (placed, noisy[1])))
    torch.testing.assert_close(second.pos, first.pos + shift, atol=1e-4, rtol=0)
    guided = GuidedProcess(placed, [lambda seen, mask: (seen.pos - 100).square().sum((1, 2))], torch.zeros(3))
    moved = guided.estimate(noisy[1], output(clean), t)
    assert ((mean_position(moved.pos, clean.mask) - mean_position(second.pos, clean.mask)) > 0.1).all()


def pocket_of(*points: tuple[float, float, float]) -> Pocket:
    n = len(points)
    names = (np.array(["CA"] * n), np.array(["GLY"] * n))
    return Pocket(np.array(points), np.full(n, 6), *names, np.arange(n), tuple(f"A:{k}" for k in range(n)))


def test_clashes_are_overlaps_of_spheres() -> None:
    """Carbon has a radius of 1.7 Å, fluorine of 1.47 Å; half an ångström of overlap is free."""
    guide = PocketClashes(pocket_of((0, 0, 0), (50, 0, 0)), Vocabulary(("C", "F")))
    pos = torch.tensor([[[2.8, 0, 0], [0, 3.0, 0]], [[2.8, 0, 0], [0, 3.0, 0]]])
    carbon, fluorine = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    types = torch.stack([carbon.expand(2, 2), (fluorine / 2 + carbon / 2).expand(2, 2)])
    mask = torch.ones(2, 2, dtype=torch.bool)
    energies = guide(Prediction(pos, types), mask)
    expected = [(3.4 - 0.5 - 2.8) ** 2 / 2, 0.0]
    torch.testing.assert_close(energies, torch.tensor(expected), atol=1e-5, rtol=0)
    assert float(guide(Prediction(pos, types), mask & False).sum()) == 0
    with pytest.raises(ValueError, match="depend on elements"):
        guide(Prediction(pos), mask)


def test_one_shift_ends_a_clash() -> None:
    guide = PocketClashes(pocket_of((0.0, 0.0, 0.0)), Vocabulary(("C", "F")))
    pos = torch.tensor([[[2.0, 0, 0]]], requires_grad=True)
    energy = guide(Prediction(pos, torch.tensor([[[1.0, 0.0]]])), torch.ones(1, 1, dtype=torch.bool))
    (slope,) = torch.autograd.grad(energy.sum(), pos)
    torch.testing.assert_close(pos.detach() - slope, torch.tensor([[[2.9, 0, 0]]]), atol=1e-4, rtol=0)


def test_each_molecule_has_its_own_pocket() -> None:
    """A batch of pockets gives the energies of the pockets one by one; padding has no sphere, residues are refused."""
    pockets = [pocket_of((0, 0, 0)), pocket_of((9, 0, 0), (2.5, 0, 0), (0, 2.0, 0))]
    words, pos = Vocabulary(("C", "F")), torch.tensor([[[1.0, 0.5, 0], [0, 2.6, 0]]]).expand(2, 2, 3)
    seen, mask = Prediction(pos, torch.tensor([0.3, 0.7]).expand(2, 2, 2)), torch.ones(2, 2, dtype=torch.bool)
    together = PocketClashes(PocketTable.from_pockets(pockets, "atom").batch([0, 1]), words)(seen, mask)
    alone = [PocketClashes(pocket, words)(seen, mask)[row] for row, pocket in enumerate(pockets)]
    torch.testing.assert_close(together, torch.stack(alone))
    assert (together > 0).all()
    with pytest.raises(ValueError, match="got residues; take pockets at atom level"):
        PocketClashes(PocketTable.from_pockets(pockets, "residue").batch([0]), words)


def test_distances_need_their_atoms(clean: MolBatch) -> None:
    with pytest.raises(ValueError, match="got a molecule of 6 atoms"):
        AtomDistance(0, 6, 3.0)(output(clean), clean.mask)
    assert AtomDistance(0, 5, 3.0)(output(clean), clean.mask).count_nonzero() == 1  # the others have fewer atoms


# ---- with samplers


def sampled(sampler: Sampler, denoiser: Denoiser, process: JointProcess | GuidedProcess, rows: list[int]) -> MolBatch:
    mask = torch.ones(len(rows), 5, dtype=torch.bool)
    with torch.inference_mode():
        return sampler(denoiser, process, mask, 8, MoleculeNoise(3, torch.tensor(rows)))


def test_every_sampler_is_guided_and_every_molecule_by_itself(sampler: Sampler, statistics: Statistics) -> None:
    from moldiff.models import EquivariantGraphTransformer

    torch.manual_seed(0)
    denoiser = EquivariantGraphTransformer(statistics.vocabulary, 16, 8, 4, 2, 1, 2, 8)
    process = joint(statistics)
    plain = sampled(sampler, denoiser, process, [0, 1, 2])
    target = float(extent(plain.pos, plain.mask).mean()) + 1
    guided = GuidedProcess(process, [RadiusOfGyration(target, 2.0)])
    together = sampled(sampler, denoiser, guided, [0, 1, 2])
    miss = [(extent(batch.pos, batch.mask) - target).abs().mean() for batch in (plain, together)]
    assert miss[1] < miss[0]
    alone = sampled(sampler, denoiser, guided, [2])
    torch.testing.assert_close(together.pos[2:], alone.pos, atol=1e-3, rtol=0)
    assert torch.equal(together.atom_types[2:], alone.atom_types)


def test_clashes_are_differentiated_wherever_the_guide_was_made() -> None:
    """Molecules are drawn in inference mode, where guides may be made, too."""
    with torch.inference_mode():
        guide = PocketClashes(pocket_of((0.0, 0.0, 0.0)), Vocabulary(("C", "F")))
    pos = torch.tensor([[[1.0, 0.0, 0.0]]], requires_grad=True)
    guide(Prediction(pos, torch.tensor([[[1.0, 0.0]]])), torch.ones(1, 1, dtype=torch.bool)).sum().backward()
    assert pos.grad is not None
    assert pos.grad[0, 0, 0] < 0  # the energy falls outwards
    assert pos.grad[0, 0, 1:].tolist() == [0.0, 0.0]


def test_a_predicted_property_is_guided_to_its_value() -> None:
    """By the bundled regressor, of molecules that the default model draws; the energy is that of the deviation."""
    generator = MoleculeGenerator.from_pretrained("qm9", "cpu", "float32")
    regressor = MoleculeGenerator.from_pretrained("qm9_conditional", "cpu", "float32").model.regressor
    assert regressor is not None
    found = []
    for guides in ([], [PredictedProperty(regressor, "gap", 5.0, scale=3.0)]):
        drawn = generator.sample(16, num_steps=15, num_atoms=15, progress=False, guides=guides)
        table = MoleculeTable.from_arrays(drawn.arrays, vocabulary=generator.model.statistics.vocabulary)
        batch = table.batch(range(16))
        values = regressor(batch)["gap"]
        found.append(float((values - 5.0).abs().mean()))
        estimate = Prediction(batch.pos, torch.nn.functional.one_hot(batch.atom_types, 5).float())
        energy = PredictedProperty(regressor, "gap", 5.0, scale=2.0)(estimate, batch.mask)
        expected = 2 * ((values - 5.0) / regressor.statistics.properties["gap"].std) ** 2
        torch.testing.assert_close(energy.detach().double(), expected, rtol=1e-3, atol=1e-4)
    assert found[1] < 0.7 * found[0]
    pocket = MoleculeGenerator.from_pretrained("pocket", "cpu", "float32")
    with pytest.raises(ValueError, match="the regressor knows H, C, N, O, F: got a model of 10 elements"):
        pocket.sample(1, num_steps=2, num_atoms=8, progress=False, guides=[PredictedProperty(regressor, "gap", 5.0)])
    with pytest.raises(ValueError, match="predicts gap, homo, lumo, alpha, mu, Cv: got 'logP'"):
        PredictedProperty(regressor, "logP", 1.0)
