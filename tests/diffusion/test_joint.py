"""The joint process: each field goes to its own process."""

import pytest
import torch

from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion import (
    CategoricalProcess,
    GaussianProcess,
    JointProcess,
    MoleculeNoise,
    OneHotGaussianProcess,
    Process,
    StepOptions,
)
from moldiff.diffusion.frame import centre
from moldiff.models import Prediction
from moldiff.testing import random_batch

ALL: dict[str, type[Process]] = {
    "bond_types": CategoricalProcess,
    "charges": CategoricalProcess,
    "atom_types": OneHotGaussianProcess,
    "pos": GaussianProcess,
}


def joint(statistics: Statistics, *fields: str) -> JointProcess:
    return JointProcess({name: ALL[name]() for name in fields or ALL}, statistics)


@pytest.fixture
def clean() -> MolBatch:
    batch = random_batch(sizes=(5, 3, 1))
    return centre(batch.replace(pos=batch.pos.float()))


def noise() -> MoleculeNoise:
    return MoleculeNoise(0, torch.arange(3))


def test_each_field_is_as_its_process_makes_it(statistics: Statistics, clean: MolBatch) -> None:
    """The fields are drawn in one order, whatever the order in which the processes are given."""
    process, source, t = joint(statistics), noise(), torch.tensor([0.2, 0.5, 0.9])
    noisy = process.corrupt(clean, t, noise())
    for name in ("pos", "atom_types", "charges", "bond_types"):
        alone = ALL[name]()
        alone.calibrate(name, statistics)
        expected = alone.corrupt(getattr(clean, name), t, clean.mask_of(name), source)
        assert torch.equal(getattr(noisy, name), expected)


def test_verbs_agree_on_shapes(statistics: Statistics, clean: MolBatch) -> None:
    process, t = joint(statistics), torch.full((3,), 0.6)
    prior, noisy = process.prior(clean.mask, noise()), process.corrupt(clean, t, noise())
    output = Prediction(clean.pos, torch.rand(3, 5, 5), torch.rand(3, 5, 3), torch.rand(3, 10, 4))
    estimate = process.estimate(noisy, output, t)
    stepped = process.step(noisy, estimate, t, t / 2, noise(), StepOptions())
    decoded = process.decode(estimate, clean.mask)
    losses = process.loss(output, clean, noisy, t)
    for name in ALL:
        shapes = {getattr(batch, name).shape for batch in (prior, noisy, stepped)}
        assert len(shapes) == 1
        assert getattr(decoded, name).shape == getattr(clean, name).shape
        assert losses[name].shape == (3,)


def test_fields_without_a_process_are_none(statistics: Statistics, clean: MolBatch) -> None:
    process, t = joint(statistics, "pos", "charges"), torch.full((3,), 0.6)
    output = Prediction(clean.pos, None, torch.rand(3, 5, 3))
    noisy = process.corrupt(clean, t, noise())
    for batch in (process.prior(clean.mask, noise()), noisy, process.decode(output, clean.mask)):
        assert batch.atom_types is None
        assert batch.bond_types is None
    assert set(process.loss(output, clean, noisy, t)) == {"pos", "charges"}
    assert set(process.estimate(noisy, output, t).present()) == {"pos", "charges"}


def test_data_without_a_field_are_refused(statistics: Statistics, clean: MolBatch) -> None:
    with pytest.raises(ValueError, match="the data have no bond_types, which the process needs"):
        joint(statistics).corrupt(clean.replace(bond_types=None), torch.rand(3), noise())


@pytest.mark.parametrize("fields", [("pos", "colour"), ("atom_types",)])
def test_unknown_and_missing_fields_are_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="processes must be given for pos and any of"):
        JointProcess({name: GaussianProcess() for name in fields})


def test_clean_batch_is_left_as_it_is(statistics: Statistics, clean: MolBatch) -> None:
    copy = {name: getattr(clean, name).clone() for name in ALL}
    joint(statistics).corrupt(clean, torch.rand(3), noise())
    assert all(torch.equal(getattr(clean, name), value) for name, value in copy.items())


def test_centre_takes_the_mean_away(clean: MolBatch) -> None:
    moved = centre(clean.replace(pos=(clean.pos + 3) * clean.mask[..., None]))
    torch.testing.assert_close(moved.pos, clean.pos)


def test_decode_undoes_encode(statistics: Statistics, clean: MolBatch) -> None:
    process = joint(statistics)
    again = process.decode(process.encode(clean), clean.mask)
    for name in ("pos", "atom_types", "charges", "bond_types"):
        assert torch.equal(getattr(again, name), getattr(clean, name))
