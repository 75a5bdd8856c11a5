"""Improving a molecule: what is kept, what is chosen, what is told, in a pocket and without."""

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff import MoleculeGenerator
from moldiff.chem.arrays import from_mol
from moldiff.chem.files import read_molecules
from moldiff.chem.vocabulary import DRUG_VOCABULARY
from moldiff.cli import main
from moldiff.data.pocket_sizes import PocketSizes
from moldiff.data.statistics import Statistics
from moldiff.diffusion import CategoricalProcess, EulerSampler, GaussianProcess
from moldiff.diffusion.optimisation import Candidate, optimise
from moldiff.diffusion.steering import Steering
from moldiff.metrics.objectives import Objective, objective
from moldiff.models import EquivariantGraphTransformer, PocketEncoder
from moldiff.training import DiffusionModule

ENTRY = sorted((Path(__file__).parent / "fixtures" / "pockets" / "complexes").iterdir())[0]
QM9 = Path(__file__).parent / "fixtures" / "qm9_200.sdf"
POCKET, LIGAND = ENTRY / "pocket.pdb", ENTRY / "ligand.sdf"
RINGS = Objective("rings", lambda mol: float(mol.GetRingInfo().NumRings()))


def generator_of(statistics, **network):
    """A tiny model with random weights."""
    torch.manual_seed(0)
    sizes = {"width": 16, "pair_width": 8, "vector_channels": 4, "num_heads": 2, "num_blocks": 1}
    fields = {"pos": GaussianProcess(), **{f: CategoricalProcess() for f in ("atom_types", "charges", "bond_types")}}
    module = DiffusionModule(partial(EquivariantGraphTransformer, **sizes, **network), fields, EulerSampler(), 3)
    module.build(statistics)
    return MoleculeGenerator(module.model(), "tiny", "cpu", "float32")


@pytest.fixture(scope="module")
def pocket_generator():
    statistics = Statistics(
        vocabulary=DRUG_VOCABULARY,
        num_molecules=1,
        sizes={20: 1},
        atom_types=(0.1,) * 10,
        charges=(0.1, 0.8, 0.1),
        bond_types=(0.8, 0.1, 0.05, 0.05),
        position_std=2.4,
        pocket_sizes=PocketSizes(6.0, (), ({12: 3.0},)),
    )
    return generator_of(statistics, pocket_encoder=PocketEncoder(width=8, vector_channels=4))


@pytest.fixture(scope="module")
def qm9():
    return MoleculeGenerator.from_pretrained("qm9", "cpu")


@pytest.fixture(scope="module")
def butanol():
    mol = Chem.AddHs(Chem.MolFromSmiles("CCCCO"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    return mol


def test_molecules_rise_from_generation_to_generation(qm9, butanol):
    settings = {"generations": 2, "population": 8, "num_steps": 6, "progress": False}
    course = list(qm9.optimize(butanol, "qed", **settings))
    assert [generation.number for generation in course] == [0, 1, 2]
    best = [generation.best[0].value for generation in course]
    assert best == sorted(best)
    last = course[-1].best
    assert last[0].value > best[0]
    assert [c.fitness for c in last] == sorted((c.fitness for c in last), reverse=True)
    assert len({c.smiles for c in last}) == len(last) == 1 + sum(generation.new for generation in course[1:])
    for candidate in last:
        assert candidate.mol.GetNumAtoms() == butanol.GetNumAtoms()
        assert candidate.mol.GetIntProp("moldiff_valid") == 1
        assert float(candidate.mol.GetProp("moldiff_value")) == pytest.approx(candidate.value, rel=1e-5)
        assert candidate.value == pytest.approx(objective("qed").function(Chem.MolFromSmiles(candidate.smiles)))
    others = list(qm9.optimize(butanol, "qed", **settings, batch_size=3))
    assert [c.smiles for c in others[-1].best] == [c.smiles for c in last]


def test_what_shall_fall_falls(qm9, butanol):
    fewest = Objective("rings", RINGS.function, falls=True)
    (*_, last) = qm9.optimize(butanol, fewest, 1, 4, num_steps=4, progress=False)
    values = [c.value for c in last.best]
    assert values == sorted(values)


def test_little_noise_changes_little(qm9, butanol):
    (*_, last) = qm9.optimize(butanol, RINGS, 1, 4, noise_level=0.02, progress=False)
    assert [c.smiles for c in last.best] == ["CCCCO"]


def test_what_cannot_be_heeded_is_refused(pocket_generator):
    start = from_mol(read_molecules(LIGAND)[0], hydrogens=False)
    with pytest.raises(ValueError, match="a reward cannot steer while a molecule is improved"):
        next(optimise(pocket_generator.model, start, lambda *_: None, 1, 4, 0.4, steering=Steering("qed")))


def test_ligand_keeps_its_place_in_the_pocket(pocket_generator):
    """Random weights make no valid molecules, so all that are drawn are looked at."""
    ligand = read_molecules(LIGAND)[0]
    site, seen = pocket_generator.site(POCKET, ligand), []

    def judge(arrays, index, generation):
        seen.append(arrays)
        return Candidate(index, arrays, Chem.Mol(), str(index), float(index), float(index))

    start = from_mol(ligand, hydrogens=False)
    (*_, last) = optimise(pocket_generator.model, start, judge, 2, 4, 0.4, site=site, avoid_clashes=0.0)
    assert len(seen) == 9
    assert [candidate.index for candidate in last.best] == [7, 6, 5, 4, 3, 2, 1, 0, -1]
    for arrays in seen:
        assert len(arrays) == len(start)
        np.testing.assert_allclose(arrays.positions.mean(0), start.positions.mean(0), atol=2e-3)
    assert not np.allclose(seen[1].positions, seen[2].positions, atol=0.1)


def middle():
    """Of the ligand, in Å."""
    return read_molecules(LIGAND)[0].GetConformer().GetPositions().mean(0)


def test_clashes_are_fewer_where_they_are_avoided(pocket_generator):
    """Molecules about a point in the middle of the protein; the guide may move them as a whole."""
    site = pocket_generator.site(POCKET, centre=(middle() + np.array([4.0, 0, 0])).tolist())
    settings = {"num_steps": 12, "num_atoms": 10, "progress": False, "site": site}
    closest = []
    for scale in (0.0, 1.0):
        drawn = pocket_generator.sample(6, avoid_clashes=scale, **settings).arrays
        ways = [np.linalg.norm(m.positions[:, None] - site.atoms.positions, axis=-1).min(1) for m in drawn]
        closest.append(np.mean(ways))
    assert closest[1] > closest[0] + 0.3
    alone = pocket_generator.sample(6, avoid_clashes=1.0, batch_size=1, **settings).arrays
    for a, b in zip(drawn, alone, strict=True):
        np.testing.assert_allclose(a.positions, b.positions, atol=2e-3)


def test_sizes_are_those_of_ligands_in_pockets(pocket_generator):
    site = pocket_generator.site(POCKET, centre=middle().tolist())
    drawn = pocket_generator.sample(3, num_steps=1, progress=False, site=site).arrays
    assert [len(m) for m in drawn] == [12, 12, 12]
    drawn = pocket_generator.sample(1, num_steps=1, progress=False).arrays
    assert [len(m) for m in drawn] == [20]


def test_fixed_atoms_are_not_pushed(pocket_generator):
    ligand = Chem.RWMol(Chem.RemoveHs(read_molecules(LIGAND)[0], sanitize=False))
    for index in range(ligand.GetNumAtoms() - 1, 4, -1):
        ligand.RemoveAtom(index)
    site, fixed = pocket_generator.site(POCKET, LIGAND), pocket_generator.fixed(ligand.GetMol())
    drawn = pocket_generator.sample(
        2, num_steps=2, num_atoms=9, progress=False, site=site, fixed=fixed, avoid_clashes=3.0
    )
    for arrays in drawn.arrays:
        np.testing.assert_allclose(arrays.positions[:5], ligand.GetConformer().GetPositions(), atol=1e-3)


# ---- the command


def error_of(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    out, text = capsys.readouterr()
    assert "generation" not in out  # the head of the table comes when all is checked
    return text[text.index("error: ") :]


def test_command(butanol, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Chem.MolToMolFile(butanol, "start.sdf")
    common = ["sample", "--optimize", "start.sdf", "--objective", "sa", "--out", "best.sdf", "--device", "cpu"]
    main([*common, "--num_samples", "4", "--generations", "1", "--num_steps", "4"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("generation  valid  new  best sa")
    assert [line.split()[0] for line in lines[1:3]] == ["0", "1"]
    mols = read_molecules("best.sdf")
    better = mols[0].GetProp("moldiff_generation") != "0"
    note = "" if better else "; none is better than the one that was given"
    assert lines[3] == f"{len(mols)} molecules written to best.sdf, the best first{note}"
    values = [mol.GetDoubleProp("moldiff_value") for mol in mols]
    assert values == sorted(values, reverse=True)
    assert {mol.GetProp("moldiff_objective") for mol in mols} == {"sa"}
    assert {mol.GetIntProp("moldiff_generation") for mol in mols} <= {0, 1}
    assert "best.sdf exists" in error_of(capsys, *common)


def test_ctrl_c_keeps_the_generations_that_are_done(butanol, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Chem.MolToMolFile(butanol, "start.sdf")
    optimize = MoleculeGenerator.optimize

    def interrupted(self, *args, **conditions):
        yield from itertools.islice(optimize(self, *args, **conditions), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(MoleculeGenerator, "optimize", interrupted)
    with pytest.raises(SystemExit, match="130"):
        main(
            [
                "sample",
                "--optimize",
                "start.sdf",
                "--objective",
                "sa",
                "--out",
                "best.sdf",
                "--num_samples",
                "4",
                "--num_steps",
                "4",
            ]
        )
    mols = read_molecules("best.sdf")
    assert mols
    told = f"{len(mols)} molecules written to best.sdf, the best of the generations that are done"
    assert told in capsys.readouterr().err


def test_each_generation_is_on_disk_when_it_is_done(butanol, tmp_path, monkeypatch, capsys):
    """What kills the process later, takes nothing away."""
    monkeypatch.chdir(tmp_path)
    Chem.MolToMolFile(butanol, "start.sdf")
    optimize, seen = MoleculeGenerator.optimize, []

    def watched(self, *args, **conditions):
        for generation in itertools.islice(optimize(self, *args, **conditions), 3):
            yield generation
            best = [candidate.mol.GetProp("moldiff_value") for candidate in generation.best[:4]]
            seen.append([mol.GetProp("moldiff_value") for mol in read_molecules("best.sdf")] == best)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(MoleculeGenerator, "optimize", watched)
    options = ["--objective", "sa", "--num_samples", "4", "--num_steps", "4", "--out", "best.sdf"]
    with pytest.raises(SystemExit):
        main(["sample", "--optimize", "start.sdf", *options])
    assert seen == [True] * 3
    assert read_molecules("best.sdf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.sdf", "start.sdf"]


def test_help_names_the_options(capsys):
    with pytest.raises(SystemExit):
        main(["sample", "--optimize", "x.sdf", "--help"])
    text = capsys.readouterr().out
    options = ("--objective", "--generations", "--noise_level", "--num_samples", "--pocket", "--avoid_clashes")
    assert [option for option in options if option not in text] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--noise_level", "1"], "noise_level must lie between 0, no change, and 1"),
        (["--generations", "0"], "generations must be at least 1: got 0"),
        (["--objective", "beauty"], "objective"),
        (["--objective", "vina"], "the objective vina needs a pocket"),
        (["--pocket", str(POCKET)], "the model 'qm9' takes no pocket"),
        (["--avoid_clashes", "1"], "avoid_clashes needs a pocket"),
        (["--optimize", str(LIGAND)], "implicit hydrogens"),
        (["--optimize", "none.sdf"], "none.sdf: no such file"),
        (["--optimize", str(QM9)], "got 200 molecules; expected a single one"),
    ],
)
def test_impossible_requests(butanol, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    Chem.MolToMolFile(butanol, "start.sdf")
    arguments = {"--optimize": "start.sdf", "--objective": "qed", "--out": "best.sdf", "--device": "cpu"}
    arguments |= dict(zip(options[::2], options[1::2], strict=True))
    assert message in error_of(capsys, "sample", *(word for pair in arguments.items() for word in pair))
    assert [path.name for path in tmp_path.iterdir()] == ["start.sdf"]
