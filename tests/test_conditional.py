"""Molecules that are asked to have properties: what they depend on, what is written, what is refused."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from moldiff import MoleculeGenerator, Steering
from moldiff.data.property_statistics import PropertyStatistics
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule

NETWORK = partial(EquivariantGraphTransformer, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=2)


def generator_of(statistics, properties, precision="float32"):
    """A tiny model with random weights, which heeds what it is asked."""
    torch.manual_seed(0)
    processes = {"pos": GaussianProcess(), **{n: CategoricalProcess() for n in ("atom_types", "charges", "bond_types")}}
    module = DiffusionModule(partial(NETWORK, properties=properties), processes, num_steps=4)
    module.build(statistics)
    with torch.no_grad():
        for name, weight in module.denoiser.named_parameters():
            weight.add_(torch.randn_like(weight), alpha=1.0 if "property_layers" in name else 0.1)
    return MoleculeGenerator(module.model(), "tiny", "cpu", precision)


@pytest.fixture(scope="module")
def known(statistics):
    sizes = torch.tensor([3] * 20 + [5] * 50 + [9] * 30)
    gap = PropertyStatistics.of(sizes.double() + torch.linspace(-0.4, 0.4, 100, dtype=torch.float64), sizes, "eV")
    mu = PropertyStatistics.of(torch.linspace(0, 4, 100, dtype=torch.float64), sizes, "D")
    return replace(statistics, properties={"gap": gap, "mu": mu})


@pytest.fixture(scope="module")
def generator(known):
    return generator_of(known, ["gap", "mu"])


def assert_same(first, second, exactly=False):
    for a, b in zip(first.arrays, second.arrays, strict=True):
        for name in ("atomic_numbers", "charges", "bond_orders"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        np.testing.assert_allclose(a.positions, b.positions, atol=0 if exactly else 1e-3)


def differ(first, second):
    return any(
        len(a) != len(b) or not np.allclose(a.positions, b.positions) for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize(("precision", "scale"), [("float32", 2.0), ("bfloat16", 1.0), ("bfloat16", 2.0)])
def test_batch_size_does_not_matter(known, scale, precision):
    """Nor with a value for each molecule."""
    generator = generator_of(known, ["gap", "mu"], precision)
    for gap in (5.0, np.linspace(3, 9, 24).tolist()):
        options = {"properties": {"gap": gap}, "guidance_scale": scale, "num_atoms": 9, "progress": False, "seed": 1}
        together = generator.sample(24, batch_size=24, **options)
        for batch_size in (1, 7):
            assert_same(generator.sample(24, batch_size=batch_size, **options), together)


def test_a_value_for_each_is_that_value_for_all(generator):
    options = {"num_atoms": 5, "progress": False, "guidance_scale": 1.5}
    mixed = generator.sample(4, properties={"gap": [3.0, 9.0, 3.0, 9.0], "mu": 1.0}, **options)
    for value, rows in ((3.0, (0, 2)), (9.0, (1, 3))):
        alone = generator.sample(4, properties={"gap": value, "mu": 1.0}, **options)
        for row in rows:
            np.testing.assert_allclose(mixed.arrays[row].positions, alone.arrays[row].positions, atol=1e-3)


def test_what_is_asked_matters(generator):
    options = {"num_atoms": 5, "progress": False}
    nothing = generator.sample(6, **options)
    low, high = (generator.sample(6, properties={"gap": gap}, **options) for gap in (3.0, 9.0))
    assert differ(low.arrays, high.arrays)
    assert differ(low.arrays, nothing.arrays)
    assert differ(generator.sample(6, properties={"gap": 3.0}, guidance_scale=2.0, **options).arrays, low.arrays)
    assert_same(generator.sample(6, properties={"gap": 3.0}, guidance_scale=1.0, **options), low, exactly=True)
    assert_same(generator.sample(6, properties={"gap": 3.0}, guidance_scale=0.0, **options), nothing, exactly=True)


def test_sizes_go_with_the_properties(generator):
    drawn = generator.sample(8, properties={"gap": 9.2}, progress=False)
    assert {len(arrays) for arrays in drawn.arrays} == {9}
    drawn = generator.sample(3, properties={"gap": [3.0, 5.0, 9.0]}, progress=False)
    assert [len(arrays) for arrays in drawn.arrays] == [3, 5, 9]
    drawn = generator.sample(3, properties={"gap": 9.0}, num_atoms=[4, 6, 4], progress=False)
    assert [len(arrays) for arrays in drawn.arrays] == [4, 6, 4]


def test_records_tell_what_was_asked(generator, tmp_path):
    samples = generator.sample(2, properties={"gap": [3.5, 4], "mu": 1}, guidance_scale=2, num_atoms=3, progress=False)
    first, second = samples.raw
    assert [mol.GetDoubleProp("moldiff_target_gap") for mol in (first, second)] == [3.5, 4.0]
    assert second.GetDoubleProp("moldiff_target_mu") == 1.0
    assert first.GetProp("moldiff_guidance_scale") == "2"
    plain = generator.sample(1, num_atoms=3, progress=False).raw[0]
    assert not any("target" in name or "guidance" in name for name in plain.GetPropNames())


def test_a_sequence_of_one_value_is_that_of_all(generator):
    samples = generator.sample(3, properties={"gap": [4.0]}, progress=False)
    assert [mol.GetDoubleProp("moldiff_target_gap") for mol in samples.raw] == [4.0] * 3
    assert_same(samples, generator.sample(3, properties={"gap": 4.0}, progress=False), exactly=True)


def test_a_trajectory_is_that_of_one_molecule_of_many_values(generator):
    asked = {"gap": [3.0, 5.0, 9.0], "mu": 2.0}
    drawn = generator.sample(3, seed=4, properties=asked, batch_size=1)
    for index in range(3):
        trajectory = generator.trajectory(index, seed=4, properties=asked)
        np.testing.assert_allclose(trajectory.molecule.positions, drawn.arrays[index].positions, atol=1e-3)
    for values in ([3.0, 5.0], []):
        with pytest.raises(ValueError, match=f"gap must be a number.*got {len(values)} for molecule 2"):
            generator.trajectory(2, seed=4, properties={"gap": values})


def test_models_of_many_sizes_and_odd_names_are_saved(statistics, tmp_path):
    """Drug-like molecules have more sizes than QM9's, and people name properties as they like."""
    sizes = torch.arange(1, 171).repeat_interleave(20)
    names = ["log S", "pIC50 (nM)", "a: b", "[c]", "Std.Value", "type", "values"]
    values = torch.linspace(0, 1, len(sizes), dtype=torch.float64)
    properties = {name: PropertyStatistics.of(values, sizes, "mol/L") for name in names}
    many = generator_of(replace(statistics, properties=properties), names)
    many.save_pretrained(tmp_path / "model")
    again = MoleculeGenerator.from_pretrained(tmp_path / "model", "cpu", "float32")
    assert list(again.model.denoiser.properties) == names
    asked = {"num_atoms": 5, "properties": {"log S": 0.3}}
    assert_same(again.sample(2, **asked), many.sample(2, **asked), exactly=True)


def test_model_is_saved_with_what_it_knows_of_properties(generator, tmp_path):
    generator.save_pretrained(tmp_path / "model")
    again = MoleculeGenerator.from_pretrained(tmp_path / "model", "cpu", "float32")
    assert again.model.statistics == generator.model.statistics
    options = {"properties": {"gap": 4.0}, "guidance_scale": 2.0, "progress": False}
    assert_same(again.sample(4, **options), generator.sample(4, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"properties": {"gapp": 5.0}}, "does not know the property 'gapp': expected some of gap (eV), mu (D)"),
        ({"guidance_scale": 2.0}, "1 without properties or a pocket to follow: got 2"),
        ({"properties": {"gap": 5.0}, "guidance_scale": -1.0}, "a number from 0 on"),
        ({"properties": {"gap": [5.0, 4.0, 3.0]}}, "one for each of 2 molecules"),
        ({"num_atoms": [3, 4, 5]}, "num_atoms must be a number, or 2, one for each molecule: got 3"),
    ],
)
def test_impossible_requests(generator, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        generator.sample(2, progress=False, **options)


def test_models_without_properties_say_so(statistics):
    with pytest.raises(ValueError, match="not trained with properties: got gap"):
        generator_of(statistics, []).sample(1, properties={"gap": 5.0}, progress=False)


def test_data_without_the_properties_are_refused(statistics):
    with pytest.raises(ValueError, match=r"reads the properties gap: got data without gap \(they have none\)"):
        generator_of(statistics, ["gap"])


@pytest.mark.parametrize("properties", [{}, {"gap": 5.0}])
def test_the_reward_properties_needs_a_regressor(generator, properties):
    with pytest.raises(ValueError, match="needs properties that the model's regressor predicts"):
        generator.sample(2, progress=False, properties=properties, steering=Steering("properties", 2))
