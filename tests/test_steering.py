"""Steering: what a molecule depends on, laws that are known, and what is refused."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from rdkit import Chem
from torch import Tensor, nn

from moldiff.chem.files import read_molecules
from moldiff.chem.rewards import reward_by_name
from moldiff.chem.vocabulary import DRUG_VOCABULARY
from moldiff.chem.whole import is_whole
from moldiff.cli import main
from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion import (
    CategoricalProcess,
    EulerSampler,
    GaussianProcess,
    JointProcess,
    MoleculeNoise,
    UniformGrid,
)
from moldiff.diffusion.steering import Drawing, Population, Steering, _noised, evolve, resample
from moldiff.models import Context, Denoiser, PocketEncoder, Prediction
from moldiff.samples import Samples
from tests.test_fixed import POCKETS, assert_holds, ethanol, tiny

LAW = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05])  # of the one atom of a toy
REWARDS = {1: 0.0, 6: 1.0, 7: 0.5, 8: 1.5}  # of its elements; the last one, F, is no molecule


class Bayes(Denoiser):
    """Knows the law of the element given its noisy token."""

    def __init__(self, process: CategoricalProcess) -> None:
        super().__init__()
        self.process, self.blocks = process, nn.ModuleList()

    def forward(self, noisy: MolBatch, t: Tensor, context: Context | None = None) -> Prediction:
        alpha = self.process.schedule(t).alpha[:, None, None]
        same = torch.nn.functional.one_hot(noisy.atom_types, 5)
        likelihood = alpha * same + (1 - alpha) * self.process.law[noisy.atom_types][..., None]
        return Prediction(0 * noisy.pos, (LAW * likelihood).log())


def atom(number: int) -> Chem.Mol:
    mol = Chem.RWMol()
    mol.AddAtom(Chem.Atom(number))
    return mol.GetMol()


@pytest.fixture(scope="module")
def drawing(statistics: Statistics) -> Drawing:
    """Atoms, drawn by the law LAW as exactly as the steps are small."""
    process = JointProcess({"pos": GaussianProcess(align_noise=False), "atom_types": CategoricalProcess()}, statistics)
    network = Bayes(process.processes["atom_types"])

    def draw(sampler, num_steps, noise, start):
        mask = torch.ones(len(noise.key), 1, dtype=torch.bool)
        return sampler(network, process, mask, num_steps, noise, None, start)

    def read(batch):
        numbers = [(1, 6, 7, 8, 9)[k] for k in batch.atom_types[:, 0].tolist()]
        return [atom(number) if number in REWARDS else None for number in numbers]

    return Drawing(draw, read, process, EulerSampler(UniformGrid()), 100)


def shares(population: Population) -> Tensor:
    return torch.bincount(population.batch.atom_types[:, 0], minlength=5) / len(population.rewards)


def reward_of(mol: Chem.Mol) -> float:
    return REWARDS[mol.GetAtomWithIdx(0).GetAtomicNum()]


def test_coordinates_that_are_no_numbers_are_noised_as_zeros(drawing: Drawing) -> None:
    pos = torch.tensor([[[1.0, 2.0, -3.0], [torch.nan, 0.5, torch.inf], [4.0, -torch.inf, 0.0]]])
    types, mask, noise = torch.tensor([[0, 1, 2]]), torch.ones(1, 3, dtype=torch.bool), torch.arange(1)
    found, zeros = (
        _noised(drawing.process, MolBatch(x, types, None, None, mask), 0.5, MoleculeNoise(0, noise)).pos
        for x in (pos, torch.where(pos.isfinite(), pos, 0.0))
    )
    assert found.isfinite().all()
    assert torch.equal(found, zeros)


@pytest.mark.parametrize("rounds", [1, 4])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_law_of_the_population(drawing: Drawing, rounds: int, temperature: float) -> None:
    """p(x) exp(reward(x) / T), and nothing invalid."""
    steering = Steering(reward_of, 1000, rounds, temperature, window=(0.8, 0.02))
    found = evolve(steering, drawing, 0, torch.arange(2))
    expected = LAW[:4] * (torch.tensor(list(REWARDS.values())) / temperature).exp()
    torch.testing.assert_close(shares(found)[:4], expected / expected.sum(), atol=0.04, rtol=0)
    assert shares(found)[4] == 0
    assert found.rewards.tolist() == [reward_of(mol) for mol in drawing.read(found.batch)]


def test_constant_reward_changes_nothing(drawing: Drawing) -> None:
    """But that nothing is invalid; and resampling finds all weights equal, once all are valid."""
    found = evolve(Steering(lambda mol: 7.0, 1000, 3, window=(0.8, 0.02)), drawing, 0, torch.arange(2))
    torch.testing.assert_close(shares(found)[:4], LAW[:4] / LAW[:4].sum(), atol=0.04, rtol=0)
    assert 0.9 < float(found.sizes[:, 0].mean()) / 1000 < 0.98  # invalid: 5 percent
    torch.testing.assert_close(found.sizes[:, 1:], torch.full((2, 2), 1000.0).double())


def test_copies_go_apart(drawing: Drawing) -> None:
    """A particle that is copied to all places does not stay the same molecule in all."""
    lucky = Steering(lambda mol: float(mol.GetAtomWithIdx(0).GetAtomicNum() == 8), 50, 1, 1e-6, (0.8, 0.02))
    found = evolve(lucky, drawing, 1, torch.arange(1))
    assert found.rewards.tolist() == [1.0] * 50  # an O was among the 50, and is given up by none
    kept = evolve(Steering(lambda mol: 1.0, 50, 1, 1e-6, (0.8, 0.02)), drawing, 1, torch.arange(1))
    assert len(set(kept.batch.atom_types[:, 0].tolist())) > 1


def test_systematic_resampling() -> None:
    weights = torch.tensor([[0.5, 0.25, 0.25, 0.0], [0.25] * 4, [0.0, 0.0, 0.0, 1.0], [0.1, 0.2, 0.3, 0.4]])
    rows = torch.stack([resample(weights, torch.full((4,), (u + 0.5) / 1000)) for u in range(1000)]).reshape(-1, 4, 4)
    assert (rows[:, 0] == torch.tensor([0, 0, 1, 2])).all()
    assert (rows[:, 1] == torch.tensor([4, 5, 6, 7])).all()
    assert (rows[:, 2] == 11).all()
    counts = torch.nn.functional.one_hot(rows[:, 3] - 12, 4).sum(1)
    torch.testing.assert_close(counts.float().mean(0), 4 * weights[3], atol=2e-3, rtol=0)
    assert (counts >= (4 * weights[3]).floor()).all()
    assert (counts <= (4 * weights[3]).ceil()).all()


@pytest.fixture(scope="module")
def generator(statistics):
    return tiny(statistics)


def protons(mol: Chem.Mol) -> float:
    return float(sum(a.GetAtomicNum() for a in mol.GetAtoms()))


def rewards(samples: Samples) -> list[float]:
    return [float(note["moldiff_reward"]) for note in samples.notes]


def test_depends_on_seed_and_index_only(generator):
    """Whatever the batch size and the number of molecules."""
    options = {"seed": 5, "num_steps": 6, "num_atoms": 2, "progress": False}
    steering = Steering(protons, 4, 4, 0.5)
    whole = generator.sample(6, **options, steering=steering)
    assert max(rewards(whole)) > 0  # random weights make a molecule now and then
    for batch_size in (1, 7):
        parts = generator.sample(4, **options, batch_size=batch_size, steering=steering)
        assert parts.notes == whole.notes[:4]
        for a, b in zip(whole.arrays, parts.arrays, strict=False):
            np.testing.assert_array_equal(a.atomic_numbers, b.atomic_numbers)
            np.testing.assert_array_equal(a.bond_orders, b.bond_orders)
            np.testing.assert_allclose(a.positions, b.positions, atol=1e-3)
    other = generator.sample(4, **{**options, "seed": 6}, steering=steering)
    assert any((a.positions != b.positions).any() for a, b in zip(whole.arrays, other.arrays, strict=False))


def test_rewards_are_those_of_the_molecules_that_are_returned(generator):
    samples = generator.sample(8, num_steps=6, num_atoms=2, progress=False, steering=Steering(protons, 2, 2))
    for arrays, raw, note in zip(samples.arrays, samples.raw, samples.notes, strict=True):
        assert raw.GetProp("moldiff_reward") == note["moldiff_reward"]
        assert note["moldiff_reward"] == (str(int(protons(raw))) if is_whole(arrays) else "-inf")
        assert 1 <= float(note["moldiff_sample_size"]) <= 2


def test_together_with_fixed_atoms(generator):
    fragment = ethanol(4)
    options = {"num_atoms": 11, "num_steps": 3, "progress": False, "fixed": generator.fixed(fragment)}
    for mol in generator.sample(2, **options, steering=Steering("qed", 2, 1)).raw:
        assert_holds(mol, fragment)


def test_in_a_pocket_rewards_are_of_the_proteins_frame(statistics):
    """A single heavy atom is a molecule, and lies at the centre of the site."""
    heavy = dataclasses.replace(
        statistics,
        vocabulary=DRUG_VOCABULARY,
        atom_types=(0.1,) * 10,
        charges=(0.01, 0.98, 0.01),
        bond_types=(0.8, 0.1, 0.05, 0.05),
    )
    generator = tiny(heavy, pocket_encoder=PocketEncoder(width=8, vector_channels=4))
    entry = sorted(POCKETS.iterdir())[0]
    centre = read_molecules(entry / "ligand.sdf")[0].GetConformer().GetPositions().mean(0)
    site = generator.site(entry / "pocket.pdb", centre=centre.tolist())
    steering = Steering(lambda mol: mol.GetConformer().GetPositions()[0, 0], 2, 1)
    samples = generator.sample(2, num_atoms=1, progress=False, site=site, steering=steering, avoid_clashes=0.0)
    found = [reward for reward in rewards(samples) if np.isfinite(reward)]
    assert found
    np.testing.assert_allclose(found, float(centre[0]), atol=1e-3)


def test_named_rewards():
    phenol = Chem.AddHs(Chem.MolFromSmiles("Oc1ccccc1"))
    assert reward_by_name("qed")(phenol) == pytest.approx(0.5147, abs=0.01)
    assert reward_by_name("logp")(phenol) == pytest.approx(1.3922, abs=0.01)
    assert 0.8 < reward_by_name("sa")(phenol) < 1
    assert reward_by_name("sa")(phenol) > reward_by_name("sa")(Chem.MolFromSmiles("C1C2CC3C1C4CC2C34"))
    assert reward_by_name("smarts:[OX2H]c")(phenol) == 1
    assert reward_by_name("smarts:c")(phenol) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": "qde"}, "unknown reward 'qde': expected one of qed, logp, sa, properties, or smarts:PATTERN"),
        ({"reward": "smarts:((("}, "RDKit cannot read the SMARTS pattern '((('"),
        ({"reward": "smarts:"}, "unknown reward 'smarts:'"),
        ({"reward": "qed", "particles": 0}, "steering needs particles >= 1"),
        ({"reward": "qed", "temperature": 0.0}, "steering needs particles >= 1"),
        ({"reward": "qed", "window": (0.3, 0.5)}, "window must be two falling times"),
    ],
)
def test_what_has_no_meaning_is_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Steering(**arguments)


def test_a_reward_may_be_missing_but_not_infinite():
    oxygen = Chem.MolFromSmiles("O")
    some = Steering(lambda mol: 1.0 if mol.GetNumAtoms() == 1 else float("nan"))
    assert some([oxygen, None, Chem.MolFromSmiles("CO")]).tolist() == [1.0, -np.inf, -np.inf]
    with pytest.raises(ValueError, match="a reward is infinite"):
        Steering(lambda mol: np.inf)([oxygen])


def test_command(generator, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    generator.save_pretrained("tiny")
    common = ["sample", "--model", "tiny", "--device", "cpu", "--num_samples", "2", "--num_atoms", "3"]
    main([*common, "--reward", "smarts:[#6]", "--particles", "2", "--out", "x.sdf"])
    mols = read_molecules("x.sdf")
    assert len(mols) == 2
    assert all(mol.HasProp("moldiff_reward") and mol.HasProp("moldiff_sample_size") for mol in mols)
    with pytest.raises(SystemExit):
        main([*common, "--reward", "beauty", "--out", "y.sdf"])
    assert "unknown reward 'beauty'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*common, "--particles", "8", "--out", "y.sdf"])
    assert "expected --reward with it" in capsys.readouterr().err
