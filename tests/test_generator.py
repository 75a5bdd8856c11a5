"""MoleculeGenerator: what a molecule depends on, what is written, and what is refused."""

import contextlib
import dataclasses
import re
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from rdkit import Chem

import moldiff.generator
from moldiff import MoleculeGenerator
from moldiff.chem.files import read_molecules
from moldiff.cli import main
from moldiff.diffusion import CategoricalProcess, EulerSampler, GaussianProcess
from moldiff.diffusion.batch_size import default_batch_size
from moldiff.diffusion.generate import check_integers
from moldiff.diffusion.guides import RadiusOfGyration
from moldiff.diffusion.steering import Steering
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule

FIELDS = ("pos", "atom_types", "charges", "bond_types")


@pytest.fixture(scope="module")
def model(statistics):
    """A tiny model with random weights; the matrices are scaled up so that the molecules differ."""
    torch.manual_seed(0)
    network = partial(EquivariantGraphTransformer, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=2)
    processes = {"pos": GaussianProcess(), **{name: CategoricalProcess() for name in FIELDS[1:]}}
    module = DiffusionModule(network, processes, EulerSampler(jump_rate=2.0), num_steps=5)
    module.build(statistics)
    with torch.no_grad():
        for weight in (module.denoiser.node_out.weight, module.denoiser.pair_out[2].weight):
            weight.mul_(5)
    return module.model()


@pytest.fixture(scope="module")
def generator(model):
    return MoleculeGenerator(model, "tiny", "cpu", "float32")


@pytest.fixture(scope="module")
def samples(generator):
    return generator.sample(40, seed=1, progress=False)


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        for name in ("atomic_numbers", "charges", "bond_orders"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-3)


def composition(arrays):
    return tuple(sorted(arrays.atomic_numbers.tolist()))


def test_molecules_differ_from_each_other(samples):
    assert len({composition(arrays) for arrays in samples.arrays}) > 20
    assert len({arrays.positions[0, 0] for arrays in samples.arrays}) == 40


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size_does_not_matter(generator, samples, batch_size):
    assert_same(generator.sample(40, seed=1, batch_size=batch_size, progress=False).arrays, samples.arrays)


def test_number_of_samples_does_not_matter(generator, samples):
    assert_same(generator.sample(11, seed=1, progress=False).arrays, samples.arrays[:11])


def test_same_seed_same_molecules_whatever_was_drawn_before(generator, samples):
    torch.manual_seed(7)
    other = generator.sample(40, seed=2, progress=False)
    assert {composition(a) for a in other.arrays} != {composition(a) for a in samples.arrays}
    assert [len(a) for a in other.arrays] != [len(a) for a in samples.arrays]
    torch.rand(3)
    again = generator.sample(40, seed=1, progress=False)
    for a, b in zip(again.arrays, samples.arrays, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)


def test_sampling_leaves_the_random_state_alone(generator):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    generator.sample(2, progress=False)
    assert torch.equal(torch.rand(3), expected)


def test_number_of_steps(generator, samples):
    default = generator.sample(3, seed=1, num_steps=5, progress=False)
    assert_same(default.arrays, samples.arrays[:3])
    assert default.num_steps == samples.num_steps == 5
    fewer = generator.sample(3, seed=1, num_steps=2, progress=False)
    assert fewer.num_steps == 2
    assert not np.allclose(fewer.arrays[0].positions, samples.arrays[0].positions, atol=1e-3)


@pytest.mark.parametrize("num_atoms", [1, 2, 12])
def test_number_of_atoms(generator, num_atoms):
    drawn = generator.sample(3, num_atoms=num_atoms, progress=False)
    assert [mol.GetNumAtoms() for mol in drawn.raw] == [num_atoms] * 3


def test_sizes_beyond_the_training_data_are_warned_of(generator, statistics, caplog):
    low, high = min(statistics.sizes), max(statistics.sizes)
    for sizes, told in (([low, high], []), ([low, 60], ["60 atoms: molecules of"]), ([1, high], ["1 atoms: mol"])):
        caplog.clear()
        generator.sample(2, num_steps=1, num_atoms=sizes, progress=False)
        assert [text[: len(start)] for text, start in zip(caplog.messages, told, strict=True)] == told


def test_sizes_follow_the_training_data(generator, statistics):
    drawn = Counter(len(a) for a in generator.sample(600, seed=4, num_steps=1, batch_size=300, progress=False).arrays)
    assert set(drawn) == set(statistics.sizes)
    for size, count in statistics.sizes.items():
        share = count / statistics.num_molecules
        assert abs(drawn[size] / 600 - share) < 4 * (share * (1 - share) / 600) ** 0.5


def test_stream_gives_each_molecule_once_large_ones_first(generator, samples):
    batches = list(generator.stream(40, seed=1, batch_size=16, progress=False))
    assert all(1 <= len(batch.indices) <= 16 for batch in batches)
    assert sorted(index for batch in batches for index in batch.indices) == list(range(40))
    sizes = [len(arrays) for batch in batches for arrays in batch.molecules]
    assert sizes == sorted(sizes, reverse=True)
    for batch in batches:
        assert_same(batch.molecules, [samples.arrays[index] for index in batch.indices])


def test_a_batch_has_at_most_128_molecules_by_default_and_more_on_a_gpu(generator):
    batches = generator.stream(130, num_atoms=3, num_steps=1, progress=False)
    assert [len(batch.indices) for batch in batches] == [128, 2]
    assert default_batch_size(torch.device("cuda", 1)) == 512


def test_raw_molecules_are_as_drawn(samples):
    assert len(samples) == len(samples.raw) == len(samples.mols) == 40
    for arrays, mol in zip(samples.arrays, samples.raw, strict=True):
        assert [atom.GetAtomicNum() for atom in mol.GetAtoms()] == arrays.atomic_numbers.tolist()
        assert [atom.GetFormalCharge() for atom in mol.GetAtoms()] == arrays.charges.tolist()
        assert mol.GetNumBonds() == np.count_nonzero(arrays.bond_orders)
        np.testing.assert_allclose(mol.GetConformer().GetPositions(), arrays.positions)


def test_mols_are_sanitized_or_none(generator, capfd):
    samples = generator.sample(40, seed=1, progress=False)
    assert any(mol is None for mol in samples.mols)  # random weights
    assert capfd.readouterr().err == ""  # RDKit does not complain of each
    for raw, mol in zip(samples.raw, samples.mols, strict=True):
        check = Chem.Mol(raw)
        assert (Chem.SanitizeMol(check, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE) == (mol is None)
        if mol is not None:
            assert mol.GetRingInfo() is not None
            assert mol.GetNumConformers() == 1
            assert mol.GetProp("_Name") == raw.GetProp("_Name")
    assert list(samples) == samples.mols == [samples[k] for k in range(40)]
    assert repr(samples) == f"Samples(40 molecules by tiny, seed 1, {samples.num_steps} steps)"
    assert re.match(r"MoleculeGenerator\(tiny, \d+ steps, cpu, float32 products\)$", repr(generator))


def test_all_records_are_written_with_their_properties(samples, tmp_path):
    assert samples.to_sdf(tmp_path / "x.sdf") == tmp_path / "x.sdf"
    read = read_molecules(tmp_path / "x.sdf")
    assert len(read) == 40
    for index, (mol, raw) in enumerate(zip(read, samples.raw, strict=True)):
        assert mol.GetProp("_Name") == f"tiny-seed1-{index}"
        properties = mol.GetPropsAsDict()
        assert properties["moldiff_seed"] == 1
        assert properties["moldiff_index"] == index
        assert properties["moldiff_num_steps"] == 5
        assert properties["moldiff_model"] == "tiny"
        assert properties["moldiff_valid"] == raw.GetIntProp("moldiff_valid")
        assert [bond.GetBondType() for bond in mol.GetBonds()] == [bond.GetBondType() for bond in raw.GetBonds()]
        assert [atom.GetFormalCharge() for atom in mol.GetAtoms()] == [a.GetFormalCharge() for a in raw.GetAtoms()]
        np.testing.assert_allclose(mol.GetConformer().GetPositions(), raw.GetConformer().GetPositions(), atol=1e-4)
    valid = sum(mol.GetIntProp("moldiff_valid") for mol in samples.raw)
    assert valid < 40  # random weights: the flag of the others is 0
    assert samples.report(reference=None).strict.valid.count == valid


def test_xyz_by_the_ending(samples, tmp_path):
    samples.to_sdf(tmp_path / "x.xyz")
    lines = (tmp_path / "x.xyz").read_text().splitlines()
    assert lines[0] == str(len(samples.arrays[0]))
    assert lines[1].split()[0] == "tiny-seed1-0"
    assert len(lines) == sum(len(arrays) + 2 for arrays in samples.arrays)


def test_files_are_not_replaced_unless_told(samples, tmp_path):
    (tmp_path / "x.sdf").write_text("precious")
    with pytest.raises(FileExistsError, match=r"x\.sdf exists"):
        samples.to_sdf(tmp_path / "x.sdf")
    assert (tmp_path / "x.sdf").read_text() == "precious"
    samples.to_sdf(tmp_path / "x.sdf", overwrite=True)
    assert len(read_molecules(tmp_path / "x.sdf")) == 40
    assert [path.name for path in tmp_path.iterdir()] == ["x.sdf"]


def test_saved_and_loaded(generator, samples, tmp_path):
    folder = tmp_path / "my.model"
    generator.save_pretrained(folder, card="# Mine\n")
    assert (folder / "card.md").read_text() == "# Mine\n"
    for path in (folder, str(folder)):
        again = MoleculeGenerator.from_pretrained(path, "cpu", "float32")
        assert again.name == "my.model"
        assert_same(again.sample(5, seed=1, progress=False).arrays, samples.arrays[:5])
    with pytest.raises(FileExistsError, match="exists"):
        generator.save_pretrained(folder)
    assert (folder / "card.md").read_text() == "# Mine\n"


def test_bundled_models_go_by_their_names(generator, tmp_path, monkeypatch):
    """A folder of that name is taken only if a model is in it."""
    monkeypatch.setattr(moldiff.generator, "BUNDLED", tmp_path / "weights")
    generator.save_pretrained(tmp_path / "weights" / "small", card="bundled")
    work = tmp_path / "work"
    (work / "small").mkdir(parents=True)
    monkeypatch.chdir(work)
    assert MoleculeGenerator.from_pretrained("small").name == "small"
    with pytest.raises(FileNotFoundError, match=r"no model 'smal': expected one of the bundled models \['small'\]"):
        MoleculeGenerator.from_pretrained("smal")
    (work / "small").rmdir()
    generator.save_pretrained("small")
    assert MoleculeGenerator.from_pretrained("small").model.num_steps == 5
    (work / "other").mkdir()
    with pytest.raises(FileNotFoundError, match=r"folder without config\.yaml"):
        MoleculeGenerator.from_pretrained("other")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "num_samples must be at least 1: got 0"),
        ({"num_samples": -3}, "num_samples must be at least 1: got -3"),
        ({"batch_size": 0}, "batch_size must be at least 1: got 0"),
        ({"num_steps": 0}, "num_steps must be at least 1: got 0; the model's default is 5"),
        ({"num_atoms": 0}, "num_atoms must be at least 1: got 0"),
        ({"seed": 2**63}, "seed must be an integer of 64 bits: got 9223372036854775808"),
    ],
)
def test_impossible_requests(generator, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        generator.sample(**{"num_samples": 2, "progress": False, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_step": 10}, "unknown argument or condition 'num_step'"),
        ({"reward": "qed"}, "'reward': expected some of site, fixed, formula"),
        ({"formulas": "CH4"}, "'formulas': did you mean formula?"),
        ({"site": "pocket.pdb"}, "site must be what MoleculeGenerator.site gives: got 'pocket.pdb'"),
        ({"fixed": "ring.sdf"}, "fixed must be what MoleculeGenerator.fixed gives: got 'ring.sdf'"),
        ({"steering": "qed"}, "steering must be what Steering(...) gives: got 'qed'"),
        ({"guides": len}, "guides must be a list of functions"),
    ],
)
def test_requests_of_another_kind(generator, options, message):
    """Python would take any name and value, and the molecules would be those of a plain call."""
    with pytest.raises(TypeError, match=re.escape(message)):
        generator.sample(**{"num_samples": 2, "progress": False, **options})


def test_unknown_conditions_of_other_calls(generator, samples):
    ligand, message = next(m for m in samples.mols if m), "unknown argument or condition 'noise': expected some of"
    with pytest.raises(TypeError, match=message):
        generator.trajectory(noise=0.3)
    with pytest.raises(TypeError, match=message):
        next(generator.optimize(ligand, "qed", noise=0.3, progress=False))


def test_guides_come_in_any_row(generator):
    pull = RadiusOfGyration(3.0)
    listed, one_by_one = (
        generator.sample(2, progress=False, guides=guides).arrays for guides in ([pull], (guide for guide in [pull]))
    )
    assert_same(listed, one_by_one)


@pytest.mark.parametrize("call", ["sample", "trajectory", "optimize"])
def test_all_calls_check_their_numbers(generator, samples, monkeypatch, call):
    seen = []
    for module in ("generate", "optimisation"):
        monkeypatch.setattr(f"moldiff.diffusion.{module}.check_integers", lambda **values: seen.append(values))
    ligand = next(m for m in samples.mols if m)
    if call == "optimize":
        with contextlib.suppress(ValueError):  # of the molecule
            next(generator.optimize(ligand, "qed", seed=5, progress=False))
    else:
        getattr(generator, call)(1, seed=5)
    assert seen[0]["seed"] == 5


@pytest.mark.parametrize("seed", [1.5, None, "1", torch.tensor(0.5)])
def test_numbers_must_be_whole(seed):
    """Tested by itself, since types are checked in tests, and not where users are."""
    check_integers(seed=np.int64(3), num_steps=5)
    with pytest.raises(TypeError, match="seed must be an integer: got"):
        check_integers(num_steps=5, seed=seed)


@pytest.mark.parametrize("seed", [-1, 2**40, 2**63 - 1])
def test_any_seed_of_64_bits(generator, seed):
    drawn = generator.sample(1, seed=seed, progress=False)
    assert drawn.raw[0].GetProp("moldiff_seed") == str(seed)


@pytest.mark.parametrize("device", ["tpu", "cpux", "cuda:99"])
def test_unknown_devices(model, device):
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used"):
        MoleculeGenerator(model, "tiny", device)


def test_bfloat16_gives_molecules(model):
    drawn = MoleculeGenerator(model, "tiny", "cpu", "bfloat16").sample(4, progress=False)
    assert all(np.isfinite(arrays.positions).all() for arrays in drawn.arrays)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_network_gives_invalid_molecules(model, tmp_path, value):
    """They are written and flagged; nothing crashes."""
    network = EquivariantGraphTransformer(
        model.statistics.vocabulary, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=2
    )
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(value)
    drawn = MoleculeGenerator(dataclasses.replace(model, denoiser=network), "broken", "cpu").sample(5, progress=False)
    assert [mol.GetIntProp("moldiff_valid") for mol in drawn.raw] == [0] * 5
    assert drawn.mols == [None] * 5
    for name in ("x.sdf", "x.xyz"):
        drawn.to_sdf(tmp_path / name)
        assert len(read_molecules(tmp_path / name)) == 5
    report = drawn.report(reference=None)
    assert report.requested == 5
    assert report.strict.valid.count == report.edm.molecule_stable.count == 0


@pytest.fixture(scope="module")
def bundled():
    return MoleculeGenerator.from_pretrained("qm9", "cpu")


@pytest.mark.parametrize("num_atoms", [5, 9, 12, 16, 18, 21, 23, 25, 29])
def test_bundled_model_at_its_default_precision_heeds_no_batch_size(bundled, num_atoms):
    """Coarser arithmetic, where the hardware has it, must not let molecules depend on their company."""
    options = {"seed": 3, "num_steps": 4, "num_atoms": num_atoms, "progress": False}
    together = bundled.sample(64, batch_size=64, **options)
    for batch_size in (1, 3):
        assert_same(bundled.sample(7, batch_size=batch_size, **options).arrays, together.arrays[:7])


def test_trajectory_ends_at_the_molecule_that_is_drawn(generator, samples):
    trajectory = generator.trajectory(3, seed=1)
    assert_same([trajectory.molecule], samples.arrays[3:4])
    assert trajectory.title == "tiny-seed1-3"
    times = [frame.time for frame in trajectory.frames]
    assert times[0] == 1
    assert times[-1] == 0
    assert times == sorted(times, reverse=True)
    assert len(times) == 5 + 1  # of each step, and the end
    assert len({tuple(frame.noisy.atomic_numbers) for frame in trajectory.frames}) > 1  # elements are noised, too


def test_trajectories_that_are_refused(generator):
    with pytest.raises(ValueError, match="index must be at least 0: got -1"):
        generator.trajectory(-1)
    with pytest.raises(ValueError, match="a steered molecule has no single way"):
        generator.trajectory(0, steering=Steering("qed"))


def test_trajectory_from_the_command_line(generator, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    generator.save_pretrained("tiny")
    common = ["sample", "--model", "tiny", "--device", "cpu", "--num_samples", "2", "--num_atoms", "5"]
    main([*common, "--trajectory", "x.xyz", "--out", "a.xyz"])
    first, last = read_molecules("a.xyz")[0], read_molecules("x.xyz")[-1]
    np.testing.assert_allclose(first.GetConformer().GetPositions(), last.GetConformer().GetPositions(), atol=1e-3)
    main([*common, "--trajectory", "x.gif", "--out", "b.xyz"])
    assert (tmp_path / "x.gif").read_bytes()[:6] == b"GIF89a"
    with pytest.raises(SystemExit):
        main([*common, "--trajectory", "x.gif", "--out", "c.xyz"])
    assert "x.gif exists" in capsys.readouterr().err
    assert not (tmp_path / "c.xyz").exists()
