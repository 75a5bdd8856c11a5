"""Fixed parts: given atoms come back as they were, bonds start where they may, and wrong requests are told."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem, rdMolTransforms

from moldiff import MoleculeGenerator
from moldiff.chem.files import read_molecules
from moldiff.chem.vocabulary import DRUG_VOCABULARY
from moldiff.cli import main
from moldiff.data.batch import pair_indices
from moldiff.data.statistics import Statistics
from moldiff.diffusion import (
    CategoricalProcess,
    EulerSampler,
    GaussianProcess,
    HeunSampler,
    JointProcess,
    OneHotGaussianProcess,
    PolynomialSchedule,
    StreamNoise,
)
from moldiff.diffusion.inpainting import FixedProcess
from moldiff.models import EquivariantGraphTransformer, PocketEncoder, Prediction
from moldiff.models.denoiser import FIELDS
from moldiff.testing import random_batch
from moldiff.training import DiffusionModule

POCKETS = Path(__file__).parent / "fixtures" / "pockets" / "complexes"


def tiny(statistics, sampler=None, **network):
    """A tiny model with random weights."""
    torch.manual_seed(0)
    make = partial(
        EquivariantGraphTransformer,
        **{"width": 16, "pair_width": 8, "vector_channels": 4, "num_heads": 2, "num_blocks": 1, **network},
    )
    fields = {"pos": GaussianProcess(), **{f: CategoricalProcess() for f in ("atom_types", "charges", "bond_types")}}
    module = DiffusionModule(make, fields, sampler or EulerSampler(jump_rate=2.0), num_steps=3)
    module.build(statistics)
    return MoleculeGenerator(module.model(), "tiny", "cpu", "float32")


@pytest.fixture(scope="module")
def generator(statistics):
    return tiny(statistics)


def ethanol(*missing):
    """C1-C2-O3 with hydrogens 4 to 9, without those that are named; the numbers are those of the whole molecule."""
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    mol = Chem.RWMol(mol)
    for number in sorted(missing, reverse=True):
        mol.RemoveAtom(number - 1)
    return mol.GetMol()


def assert_holds(mol, fragment):
    n = fragment.GetNumAtoms()
    for i in range(n):
        assert mol.GetAtomWithIdx(i).GetAtomicNum() == fragment.GetAtomWithIdx(i).GetAtomicNum()
        assert mol.GetAtomWithIdx(i).GetFormalCharge() == fragment.GetAtomWithIdx(i).GetFormalCharge()
        for j in range(i):
            first, second = (m.GetBondBetweenAtoms(i, j) for m in (mol, fragment))
            assert (first is None) == (second is None)
            assert first is None or first.GetBondType() == second.GetBondType()
    places = [m.GetConformer().GetPositions()[:n] for m in (mol, fragment)]
    np.testing.assert_allclose(places[0], places[1], atol=1e-3)


def new_bonds(mol, num_fixed):
    """Sum of orders of the bonds from each fixed atom to new ones."""
    out = np.zeros(num_fixed)
    for bond in mol.GetBonds():
        i, j = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        if i < num_fixed <= j:
            out[i] = max(out[i], bond.GetBondTypeAsDouble())
    return out


@pytest.mark.parametrize("sampler", [EulerSampler(jump_rate=2.0), HeunSampler()])
def test_fragment_comes_back_in_its_frame(statistics, sampler):
    fragment = ethanol(4, 9)
    assert fragment.GetNumAtoms() == 7
    samples = tiny(statistics, sampler).sample(3, num_atoms=11, progress=False, fixed=tiny(statistics).fixed(fragment))
    for mol in samples.raw:
        assert mol.GetNumAtoms() == 11
        assert_holds(mol, fragment)
        assert mol.GetProp("moldiff_fixed") == "1,2,3,4,5,6,7"
    assert not np.allclose(samples.arrays[0].positions[7:], samples.arrays[1].positions[7:], atol=0.1)


def test_pieces_keep_their_relative_place(generator):
    """Two pieces, to be linked."""
    fragment = Chem.CombineMols(ethanol(9), ethanol(4))
    fragment.GetConformer()
    points = fragment.GetConformer().GetPositions()
    points[8:] += [5.0, 0.0, 0.0]
    for k, point in enumerate(points.tolist()):
        fragment.GetConformer().SetAtomPosition(k, point)
    (mol,) = generator.sample(1, num_atoms=20, progress=False, fixed=generator.fixed(fragment)).raw
    assert_holds(mol, fragment)


@pytest.mark.parametrize(
    ("missing", "anchors", "free"), [((4,), None, [1]), ((4, 9), [1, 3], [1, 0, 1]), ((4, 5), [1], [2])]
)
def test_new_bonds_start_at_free_valences_only(generator, missing, anchors, free):
    fragment = ethanol(*missing)
    n = fragment.GetNumAtoms()
    drawn = generator.sample(20, num_atoms=n + 5, progress=False, fixed=generator.fixed(fragment, anchors))
    bonds = np.array([new_bonds(mol, n) for mol in drawn.raw])
    assert bonds.any()  # random weights bind at random
    assert (bonds <= np.pad(free, (0, n - len(free)))).all()


@pytest.mark.parametrize("batch_size", [1, 2])
def test_batch_size_does_not_matter(generator, batch_size):
    fixed = generator.fixed(ethanol(4))
    whole, parts = (
        generator.sample(3, seed=5, num_steps=2, batch_size=size, num_atoms=12, progress=False, fixed=fixed)
        for size in (3, batch_size)
    )
    for a, b in zip(whole.arrays, parts.arrays, strict=True):
        np.testing.assert_array_equal(a.atomic_numbers, b.atomic_numbers)
        np.testing.assert_array_equal(a.bond_orders, b.bond_orders)
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-3)


def test_sizes_are_above_that_of_the_fragment(generator, statistics):
    fixed = generator.fixed(ethanol(4))
    sizes = [len(a) for a in generator.sample(30, num_steps=1, progress=False, fixed=fixed).arrays]
    assert min(sizes) > 8
    assert set(sizes) <= set(statistics.sizes)


@pytest.mark.parametrize(
    ("missing", "anchors", "message"),
    [
        ((), None, "no atom of the fragment has a free valence"),
        ((4, 9), [1], "atom 3 of the fragment (O) has bonds missing and is no anchor"),
        ((4,), [1, 2], "atom 2 of the fragment (C) is an anchor without a free valence"),
        ((4,), [9], "got anchor 9: the fragment has the atoms 1 to 8"),
    ],
)
def test_wrong_fragments_are_told(generator, missing, anchors, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        generator.fixed(ethanol(*missing), anchors)


def test_wrong_sizes_are_told(generator):
    with pytest.raises(ValueError, match="molecules of 8 atoms cannot hold 8 fixed ones and more"):
        generator.sample(1, num_atoms=8, progress=False, fixed=generator.fixed(ethanol(4)))


def test_unknown_elements_are_told(generator):
    mol = Chem.AddHs(Chem.MolFromSmiles("CBr"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    mol = Chem.RWMol(mol)
    mol.RemoveAtom(2)
    with pytest.raises(ValueError, match="atomic number 35"):
        generator.fixed(mol)


def test_command(generator, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    generator.save_pretrained("tiny")
    Chem.MolToMolFile(ethanol(4), "fragment.sdf", kekulize=False)
    common = ["sample", "--model", "tiny", "--device", "cpu", "--num_samples", "2"]
    main([*common, "--num_atoms", "11", "--fix", "fragment.sdf", "--anchors", "1", "--out", "x.sdf"])
    for mol in read_molecules("x.sdf"):
        assert_holds(mol, ethanol(4))
        assert mol.GetProp("moldiff_fixed") == "1,2,3,4,5,6,7,8"
    for options in (["--anchors", "1"], ["--fix", "fragment.sdf", "--anchors", "C"]):
        with pytest.raises(SystemExit):
            main([*common, *options, "--out", "y.sdf"])
        assert "expected numbers such as 1,5 together with --fix" in capsys.readouterr().err


def test_fragment_keeps_its_place_in_a_pocket():
    """A model of heavy atoms: the hydrogens that a fragment may have are left out."""
    statistics = Statistics(
        vocabulary=DRUG_VOCABULARY,
        num_molecules=1,
        sizes={20: 1},
        atom_types=(0.1,) * 10,
        charges=(0.1, 0.8, 0.1),
        bond_types=(0.8, 0.1, 0.05, 0.05),
        position_std=2.4,
        properties={},
    )
    generator = tiny(statistics, pocket_encoder=PocketEncoder(width=8, vector_channels=4))
    entry = sorted(POCKETS.iterdir())[0]
    ligand = Chem.RemoveHs(read_molecules(entry / "ligand.sdf")[0], sanitize=False)
    site = generator.site(entry / "pocket.pdb", ligand)
    fragment = Chem.RWMol(ligand)
    for index in range(ligand.GetNumAtoms() - 1, 7, -1):
        fragment.RemoveAtom(index)
    fixed = generator.fixed(fragment.GetMol())
    together, alone = (
        generator.sample(2, num_steps=1, progress=False, site=site, fixed=fixed, batch_size=size).arrays
        for size in (2, 1)
    )
    for a, b in zip(together, alone, strict=True):
        assert len(a) == ligand.GetNumAtoms()
        np.testing.assert_allclose(a.positions[:8], fragment.GetConformer().GetPositions(), atol=1e-3)
        assert a.atomic_numbers[:8].tolist() == [atom.GetAtomicNum() for atom in fragment.GetAtoms()]
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-3)
    rdMolTransforms.TransformConformer(fragment.GetConformer(), np.eye(4) + 40 * np.eye(4, k=3))
    elsewhere = generator.fixed(fragment.GetMol())
    with pytest.raises(ValueError, match=r"the fixed atoms are .* Å away from the pocket, and keep their place"):
        generator.sample(2, num_steps=1, progress=False, site=site, fixed=elsewhere)


@pytest.mark.parametrize("kind", ["x0", "eps", "v"])
@pytest.mark.parametrize("in_place", [False, True])
def test_estimate_does_not_depend_on_where_the_noisy_molecule_stands(statistics, generator, kind, in_place):
    """Networks answer with centred coordinates, noise or velocities."""
    fields = {"pos": GaussianProcess(PolynomialSchedule(), kind), **{f: CategoricalProcess() for f in FIELDS[1:]}}
    process = FixedProcess(JointProcess(fields, statistics), generator.fixed(ethanol(4)), in_place)
    noisy = process.prior(torch.ones(2, 11, dtype=torch.bool), StreamNoise(torch.Generator().manual_seed(0)))
    output, t = random_batch(statistics.vocabulary, (11, 11), relaxed=True), torch.full((2,), 0.9)
    output = Prediction(*(getattr(output, name).float() for name in FIELDS))
    here, there = (process.estimate(noisy.replace(pos=noisy.pos + x), output, t).pos for x in (0.0, 50.0))
    torch.testing.assert_close(here, there, atol=1e-2, rtol=0)


@pytest.mark.parametrize("kind", [CategoricalProcess, partial(OneHotGaussianProcess, parameterisation="x0")])
def test_bonds_that_are_ruled_out_are_never_the_likeliest(statistics, generator, kind):
    """Nor of real features, which may all be below zero."""
    fields = {"pos": GaussianProcess(), **{name: kind() for name in FIELDS[1:]}}
    fixed, mask = generator.fixed(ethanol(4)), torch.ones(5, 11, dtype=torch.bool)
    process = FixedProcess(JointProcess(fields, statistics), fixed, in_place=False)
    noisy = process.prior(mask, StreamNoise(torch.Generator().manual_seed(0)))
    output = random_batch(statistics.vocabulary, (11,) * 5, relaxed=True)
    output = Prediction(*(getattr(output, name).float() - 5 for name in FIELDS))
    found = process.decode(process.estimate(noisy, output, torch.full((5,), 0.5)), mask).bond_types
    i, j = pair_indices(11)
    closed = (i >= 8) & (j < 8) & (fixed.free[j.clamp(max=7)] == 0)
    assert (found[:, closed] == 0).all()
    assert found[:, ~closed].any()


def test_trajectory_around_fixed_atoms_is_in_their_frame(generator):
    """The noisy molecules, too: the fixed atoms come nearer and nearer to their places."""
    options = {"num_atoms": 11, "num_steps": 12, "fixed": generator.fixed(ethanol(4))}
    trajectory = generator.trajectory(1, seed=2, **options)
    drawn = generator.sample(2, seed=2, progress=False, **options).arrays[1]
    np.testing.assert_allclose(trajectory.molecule.positions, drawn.positions, atol=1e-3)
    places = ethanol(4).GetConformer().GetPositions()
    first, *_, late, _ = (np.abs(frame.noisy.positions[:8] - places).max() for frame in trajectory.frames)
    assert first > 0.5 > late
