"""Bond orders from distances, by the table of EDM.

Hoogeboom et al. 2022, "Equivariant Diffusion for Molecule Generation in 3D". The typical lengths come from
wiredchemist.com ("Common Bond Energies and Bond Lengths") and chemistry-reference.com. EDM chose the margins so that as
many as possible of QM9's own molecules come out stable.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import GetPeriodicTable

from moldiff.chem.arrays import pair_indices

MARGINS_PM = (10, 5, 3)
"""What a distance may exceed the typical single, double and triple bond by, in pm."""

# Typical lengths in pm. Each pair of elements stands once.
_SINGLE = """
H: H 74, B 119, C 109, N 101, O 96, F 92, Si 148, P 144, S 134, Cl 127, As 152, Br 141, I 161
B: Cl 175
C: C 154, N 147, O 143, F 135, Si 185, P 184, S 182, Cl 177, Br 194, I 214
N: N 145, O 140, F 136, P 177, S 168, Cl 175, Br 214, I 222
O: O 148, F 142, Si 163, P 163, S 151, Cl 164, Br 172, I 194
F: F 142, Si 160, P 156, S 158, Cl 166, Br 178, I 187
Si: Si 233, S 200, Cl 202, Br 215, I 243
P: P 221, S 210, Cl 203, Br 222
S: S 204, Cl 207, Br 225, I 234
Cl: Cl 199, Br 214
Br: Br 228
I: I 266
"""
_DOUBLE = """
C: C 134, N 129, O 120, S 160
N: N 125, O 121
O: O 121, P 150
P: S 186
"""
_TRIPLE = """
C: C 120, N 116, O 113
N: N 110
"""
_MAX_ATOMIC_NUMBER = 118


def edm_bond_orders(
    atomic_numbers: Sequence[int] | NDArray[np.integer], positions: NDArray[np.floating]
) -> NDArray[np.int8]:
    """Bond orders 0, 1, 2 or 3 of all pairs, from distances and elements alone.

    A pair is bonded if its distance is *below* the typical single bond plus 10 pm; the bond is double if the distance
    is also below the double bond plus 5 pm; and triple if it is, moreover, below the triple bond plus 3 pm. Pairs of
    elements without an entry are not bonded (EDM's own code stops there for QM9 and does this for larger molecules).
    The double bond of C and S, which EDM's code finds from one side only, is found from both.

    Args:
        atomic_numbers: (N,).
        positions: (N, 3) in Å. Pairs whose distance is not a number are not bonded.

    Returns:
        (P,) packed pairs (i, j), i > j, as in `moldiff.chem.arrays`.

    Raises:
        ValueError: if the shapes do not fit together or an atomic number lies outside 0-118.
    """
    numbers = np.asarray(atomic_numbers, dtype=np.int64)
    coordinates = np.asarray(positions, dtype=np.float64)
    if numbers.ndim != 1 or coordinates.shape != (len(numbers), 3):
        raise ValueError(
            f"Got atomic numbers of shape {numbers.shape} and positions of shape {coordinates.shape}; "
            "expected (N,) and (N, 3)"
        )
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() <= _MAX_ATOMIC_NUMBER:
        raise ValueError(
            f"Got atomic numbers from {numbers.min()} to {numbers.max()}; expected 0 to {_MAX_ATOMIC_NUMBER}"
        )
    i, j = pair_indices(len(numbers))
    with np.errstate(over="ignore", invalid="ignore"):
        distance_pm = 100.0 * np.sqrt(((coordinates[i] - coordinates[j]) ** 2).sum(-1))
        below = distance_pm < _THRESHOLDS_PM[:, numbers[i], numbers[j]]
    orders: NDArray[np.int8] = np.logical_and.accumulate(below).sum(0, dtype=np.int8)
    return orders


def _thresholds() -> NDArray[np.float64]:
    """(3, 119, 119) in pm: below which distance two elements have a single, double, triple bond; 0 if never."""
    table = GetPeriodicTable()
    thresholds = np.zeros((3, _MAX_ATOMIC_NUMBER + 1, _MAX_ATOMIC_NUMBER + 1))
    for order, (text, margin) in enumerate(zip((_SINGLE, _DOUBLE, _TRIPLE), MARGINS_PM, strict=True)):
        for line in text.strip().splitlines():
            first, partners = line.split(":")
            for partner in partners.split(","):
                second, length = partner.split()
                a, b = table.GetAtomicNumber(first), table.GetAtomicNumber(second)
                thresholds[order, a, b] = thresholds[order, b, a] = int(length) + margin
    return thresholds


_THRESHOLDS_PM = _thresholds()
