"""What arithmetic may change: bfloat16 nothing of the distribution of molecules, threads nothing but last digits."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from moldiff import MoleculeGenerator
from moldiff.chem.arrays import pair_indices


def draw(precision, count, num_steps, seed, **options):
    generator = MoleculeGenerator.from_pretrained("qm9", "cpu", precision)
    return generator.sample(count, seed=seed, num_steps=num_steps, progress=False, **options)


def quantities(arrays):
    """Spread of the atoms (Å), mean length of the bonds (Å), and mean bond order of a molecule."""
    centred = arrays.positions - arrays.positions.mean(0)
    i, j = pair_indices(len(arrays))
    bonds = arrays.bond_orders > 0
    lengths = np.linalg.norm(arrays.positions[i] - arrays.positions[j], axis=1)[bonds]
    return np.sqrt((centred**2).sum(1).mean()), lengths.mean(), arrays.bond_orders[bonds].mean()


def differences(first, second):
    """What differs between two independent sets of molecules by more than chance allows (99.9 %)."""
    found = []
    for name in ("strict.valid", "edm.atom_stable", "edm.molecule_stable"):
        a, b = (samples.report(None, ("basic",)).scores()[name] for samples in (first, second))
        pooled = (a.count + b.count) / (a.total + b.total)
        error = np.sqrt(pooled * (1 - pooled) * (1 / a.total + 1 / b.total))
        if abs(a.value - b.value) > 3.3 * error * (3 if name == "edm.atom_stable" else 1):  # atoms come in molecules
            found.append(name)
    a, b = (np.array([quantities(m) for m in s.arrays if m.bond_orders.any()]).T for s in (first, second))
    return found + [k for k in range(3) if ks_2samp(a[k], b[k]).pvalue < 1e-3]


@pytest.mark.parametrize(
    ("count", "num_steps", "num_atoms"),
    [(60, 10, 17), pytest.param(1000, 50, None, marks=pytest.mark.slow)],
    ids=["quick", "whole"],
)
def test_bfloat16_draws_from_the_same_distribution(count, num_steps, num_atoms):
    """Other seeds, so that the two sets are independent; too few steps show that a difference would be seen."""
    exact = draw("float32", count, num_steps, seed=1, num_atoms=num_atoms)
    assert differences(exact, draw("bfloat16", count, num_steps, seed=2, num_atoms=num_atoms)) == []
    assert differences(exact, draw("float32", count, 2, seed=3, num_atoms=num_atoms)) != []


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("number", [2, 3])
def test_other_threads_round_otherwise_and_no_more(threads, number):
    """In float32, sums in another order differ by 1e-5 Å after a few steps; with as many threads, nothing differs."""
    options = {"count": 8, "num_steps": 4, "seed": 3, "num_atoms": 9}
    threads(1)
    alone = draw("float32", **options)
    threads(number)
    for precision in ("float32", "bfloat16"):
        once, again = draw(precision, **options), draw(precision, **options)
        for a, b in zip(once.arrays, again.arrays, strict=True):
            np.testing.assert_array_equal(a.positions, b.positions)
            np.testing.assert_array_equal(a.bond_orders, b.bond_orders)
    for a, b in zip(alone.arrays, draw("float32", **options).arrays, strict=True):
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-3)
        np.testing.assert_array_equal(a.atomic_numbers, b.atomic_numbers)
        np.testing.assert_array_equal(a.bond_orders, b.bond_orders)
