"""The tables of valences against RDKit's periodic table, and EDM's against what its paper's program has."""

import pytest
from rdkit import Chem

from moldiff.chem.valence import EDM_VALENCES, STRICT_VALENCES

PERIODIC = Chem.GetPeriodicTable()
CHARGED = sorted(pair for pair in STRICT_VALENCES if pair[1])


def known(number: int) -> set[int]:
    """Valences of a neutral atom."""
    return set(PERIODIC.GetValenceList(number))


@pytest.mark.parametrize("number", sorted(z for z, charge in STRICT_VALENCES if charge == 0))
def test_neutral_atoms_have_the_usual_valences(number: int) -> None:
    assert STRICT_VALENCES[number, 0] == known(number)


@pytest.mark.parametrize(("number", "charge"), CHARGED)
def test_charged_atoms_bind_as_their_isoelectronic_neighbours(number: int, charge: int) -> None:
    """N+ as C, O- as F, and so on."""
    allowed, octet = STRICT_VALENCES[number, charge], known(number - charge)
    assert min(allowed) == min(octet)
    assert allowed <= octet


def test_valences_of_edm() -> None:
    published = "H 1, B 3, C 4, N 3, O 2, F 1, Al 3, Si 4, P 3 5, S 4, Cl 1, As 3, Br 1, I 1, Hg 1 2, Bi 3 5"
    rows = [row.split() for row in published.split(", ")]
    assert {PERIODIC.GetAtomicNumber(row[0]): set(map(int, row[1:])) for row in rows} == EDM_VALENCES
