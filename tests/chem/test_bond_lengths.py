"""EDM's distance rule: its limits, its order, its gaps."""

import numpy as np
import pytest

from moldiff.chem.bond_lengths import _THRESHOLDS_PM, edm_bond_orders
from moldiff.chem.valence import EDM_VALENCES, STRICT_VALENCES


def order(first: int, second: int, distance: float) -> int:
    return int(edm_bond_orders([first, second], np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]]))[0])


@pytest.mark.parametrize(
    ("first", "second", "limits_pm"),
    [
        (1, 1, (84, 0, 0)),
        (6, 1, (119, 0, 0)),
        (6, 6, (164, 139, 123)),
        (6, 7, (157, 134, 119)),
        (6, 8, (153, 125, 116)),
        (7, 7, (155, 130, 113)),
        (8, 8, (158, 126, 0)),
        (15, 16, (220, 191, 0)),
        (53, 53, (276, 0, 0)),
    ],
)
def test_limits_are_those_of_the_paper(first: int, second: int, limits_pm: tuple[int, int, int]) -> None:
    """The longest distance of each order, and not the limit itself."""
    for bond_order, limit in enumerate(limits_pm, start=1):
        if limit:
            assert order(first, second, limit / 100 - 1e-6) == bond_order
            assert order(second, first, limit / 100 + 1e-6) == bond_order - 1
    assert order(first, second, 0.0) == np.count_nonzero(limits_pm)


def test_table_is_symmetric_and_ordered() -> None:
    assert (_THRESHOLDS_PM.transpose(0, 2, 1) == _THRESHOLDS_PM).all()
    single, double, triple = _THRESHOLDS_PM
    assert ((double < single) | (double == 0)).all()
    assert ((triple < double) | (triple == 0)).all()
    assert [np.count_nonzero(np.triu(t)) for t in _THRESHOLDS_PM] == [64, 9, 4]


def test_pairs_without_entry_are_not_bonded() -> None:
    assert order(5, 6, 1.0) == 0
    assert order(26, 8, 1.5) == 0
    assert order(0, 6, 1.0) == 0


def test_not_a_number_is_no_bond() -> None:
    positions = np.array([[0.0, 0.0, 0.0], [np.nan, 0.0, 0.0], [1.0, 0.0, 0.0], [np.inf, 0.0, 0.0]])
    assert edm_bond_orders([6, 6, 6, 6], positions).tolist() == [0, 3, 0, 0, 0, 0]


def test_order_of_pairs_and_empty_molecules() -> None:
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.2], [0.0, 0.0, 2.27]])
    assert edm_bond_orders([6, 6, 1], positions).tolist() == [3, 0, 1]  # (1,0), (2,0), (2,1)
    assert edm_bond_orders([], np.zeros((0, 3))).shape == (0,)
    assert edm_bond_orders([6], np.zeros((1, 3))).shape == (0,)


@pytest.mark.parametrize(("numbers", "shape"), [([6, 6], (3, 3)), ([6], (1, 2)), ([[6]], (1, 3))])
def test_wrong_shapes(numbers: list[int], shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N,\) and \(N, 3\)"):
        edm_bond_orders(numbers, np.zeros(shape))


@pytest.mark.parametrize("number", [-1, 119])
def test_impossible_elements(number: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 118"):
        edm_bond_orders([number, 6], np.zeros((2, 3)))


def test_valences_of_the_elements_of_qm9() -> None:
    assert {number: set(EDM_VALENCES[number]) for number in (1, 6, 7, 8, 9)} == {1: {1}, 6: {4}, 7: {3}, 8: {2}, 9: {1}}
    assert STRICT_VALENCES[7, 1] == {4}
    assert STRICT_VALENCES[8, -1] == {1}
    assert (1, 1) not in STRICT_VALENCES  # a bare proton is no molecule
