"""Properties: hidden in training, in units of the network, and what sizes go with them."""

import logging

import pytest
import torch

from moldiff.data.property_statistics import PropertyStatistics
from moldiff.data.statistics import Statistics
from moldiff.diffusion import StreamNoise
from moldiff.diffusion.properties import hidden, known_to, normalised, sizes_of, target_of, targets
from moldiff.testing import random_batch

NAMES = ("gap", "mu")


@pytest.fixture
def known(statistics: Statistics) -> Statistics:
    """The gap grows with the size."""
    from dataclasses import replace

    sizes = torch.tensor([3] * 20 + [5] * 50 + [9] * 30)
    gap = sizes.double() + torch.linspace(-0.4, 0.4, 100, dtype=torch.float64)
    mu = torch.linspace(0, 4, 100, dtype=torch.float64)
    return replace(
        statistics,
        properties={"gap": PropertyStatistics.of(gap, sizes, "eV"), "mu": PropertyStatistics.of(mu, sizes, "D")},
    )


def test_some_molecules_are_shown_nothing_and_some_everything() -> None:
    noise = StreamNoise(torch.Generator().manual_seed(0))
    values = torch.arange(4.0).expand(20_000, 4)
    shown = hidden(values, noise, 0.2)
    count = shown.isfinite().sum(1)
    shares = torch.bincount(count, minlength=5) / len(count)
    torch.testing.assert_close(shares, torch.tensor([0.2, 0.5, 0.1, 0.1, 0.1]), atol=0.02, rtol=0)
    assert shown.isfinite().float().mean(0) == pytest.approx([0.35] * 4, abs=0.02)  # none is preferred
    assert torch.equal(shown[count == 4], values[count == 4])
    assert hidden(values, noise, 1.0).isnan().all()
    assert (hidden(values, noise, 0.0).isfinite().sum(1) >= 1).all()


def test_normalised_and_asked_are_the_same_numbers(known) -> None:
    batch = random_batch(sizes=(4, 2))
    values = {"gap": torch.tensor([3.0, 7.0], dtype=torch.float64), "other": torch.zeros(2)}
    from dataclasses import replace

    seen = normalised(replace(batch, properties=values), NAMES, known)
    assert seen[:, 1].isnan().all()
    asked = targets({"gap": [3.0, 7.0]}, NAMES, known, 2)
    torch.testing.assert_close(seen.float(), asked, equal_nan=True)
    gap = known.properties["gap"]
    assert asked[0, 0] == pytest.approx((3 - gap.mean) / gap.std)
    assert targets({"gap": 3.0, "mu": 1.0}, NAMES, known, 2).shape == (1, 2)
    assert targets({"gap": [3.0, 7.0], "mu": 1.0}, NAMES, known, 2).shape == (2, 2)


@pytest.mark.parametrize(
    ("asked", "names", "message"),
    [
        ({"gap": 5.0}, (), "not trained with properties: got gap; .*qm9_conditional"),
        ({"gapp": 5.0}, NAMES, r"does not know the property 'gapp': expected some of gap \(eV\), mu \(D\)"),
        ({"gap": float("nan")}, NAMES, "gap must be a finite number"),
        ({"gap": [1.0, 2.0]}, NAMES, "one for each of 3 molecules"),
    ],
)
def test_impossible_targets(asked, names, message, known) -> None:
    with pytest.raises(ValueError, match=message):
        targets(asked, names, known, 3)


def test_values_out_of_range_are_warned_of(known, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        targets({"gap": 4.0, "mu": 4.0}, NAMES, known, 3)
        assert caplog.messages == []
        targets({"gap": 12.0}, NAMES, known, 3)
    assert caplog.messages[0].startswith("gap = 12 eV is outside the range of the training data, 2.6 to 9.4")


def test_sizes_go_with_what_is_asked(known) -> None:
    assert set(sizes_of({"gap": 3.0}, known)) == {3}
    assert set(sizes_of({"gap": 9.3}, known)) == {9}
    assert set(sizes_of({"gap": 4.9, "mu": 2.0}, known)) == {5}
    assert sizes_of({"gap": 3.0, "mu": 4.0}, known) == known.sizes  # no molecule has both
    weights = sizes_of({"mu": 0.0}, known)
    assert set(weights) == {3}


def test_a_network_keeps_what_it_reads(known) -> None:
    assert list(known_to(["mu"], known).properties) == ["mu"]
    assert known_to([], known).properties == {}
    with pytest.raises(ValueError, match=r"reads the properties gap, qed: got data without qed \(they have gap, mu\)"):
        known_to(["gap", "qed"], known)


def test_target_of_a_molecule() -> None:
    assert target_of({"gap": 5, "mu": [1.0, 2.0]}, 1) == {"gap": 5.0, "mu": 2.0}
