"""Training, validation and test split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moldiff.chem.connectivity import scatter_bits

NUM_QM9 = 130_831


@dataclass(frozen=True)
class Split:
    """Places of molecules in the list of all molecules, each place in one part."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]


def edm_split(num_molecules: int = NUM_QM9) -> Split:
    """EDM's split of QM9 (Hoogeboom et al. 2022): 100,000 / 17,748 / 13,083 places in the order of QM9's indices.

    It is numpy's legacy permutation with seed 0, cut into training, validation and test part.

    Raises:
        ValueError: for any other number of molecules than QM9's 130,831.
    """
    if num_molecules != NUM_QM9:
        raise ValueError(
            f"Got {num_molecules} molecules; the split 'edm' is defined for all {NUM_QM9} of QM9: use split='random'"
        )
    return _cut(np.random.RandomState(0).permutation(num_molecules), num_molecules // 10, num_train=100_000)


def random_split(num_molecules: int, val_fraction: float = 0.1, test_fraction: float = 0.1, seed: int = 0) -> Split:
    """A random split; the rest after validation and test part is for training. A function of its arguments alone.

    Raises:
        ValueError: if a fraction is negative or nothing is left for training.
    """
    num_val, num_test = round(val_fraction * num_molecules), round(test_fraction * num_molecules)
    num_train = num_molecules - num_val - num_test
    if min(num_val, num_test) < 0 or num_train < 1:
        raise ValueError(
            f"Got val_fraction={val_fraction}, test_fraction={test_fraction} of {num_molecules} molecules, which leave "
            f"{num_train} for training; expected fractions from 0 on that leave at least one"
        )
    return _cut(np.random.default_rng(seed).permutation(num_molecules), num_test, num_train)


def halves(num_molecules: int) -> dict[str, NDArray[np.int64]]:
    """Places of the `first` and the `second` half of a training split, always the same."""
    first, second = np.array_split(np.random.RandomState(42).permutation(num_molecules), 2)
    return {"first": first, "second": second}


def key_split(keys: NDArray[np.int64], val_fraction: float = 0.05, test_fraction: float = 0.05, seed: int = 0) -> Split:
    """A split by keys (`moldiff.chem.connectivity`): molecules of one key come into the same part, in mixed order.

    A molecule's part is a function of its key, the fractions and the seed, whatever other molecules there are.

    Raises:
        ValueError: if a fraction is negative or nothing is left for training.
    """
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise ValueError(
            f"Got val_fraction={val_fraction}, test_fraction={test_fraction}; expected fractions from 0 on that leave "
            "something for training"
        )
    draws = scatter_bits(keys.view(np.uint64) ^ scatter_bits(np.array([seed], dtype=np.uint64)))
    order = np.argsort(draws, kind="stable")
    ends = np.searchsorted(draws[order] / 2.0**64, [test_fraction, test_fraction + val_fraction])
    test, val, train = np.split(order, ends)
    return Split(train, val, test)


def _cut(permutation: NDArray[np.int64], num_test: int, num_train: int) -> Split:
    train, val, test = np.split(permutation, [num_train, len(permutation) - num_test])
    return Split(train, val, test)
