import numpy as np
import pytest
import yaml

from moldiff.chem.vocabulary import DRUG_VOCABULARY, Vocabulary

QM9 = Vocabulary(("H", "C", "N", "O", "F"))


def test_from_values():
    assert Vocabulary.from_values([8, 1, 6, 9, 7, 6], [0, 1, -1]) == QM9
    assert Vocabulary.from_values(np.array([17, 1]), []).charges == (0,)


def test_indices():
    assert QM9.atomic_numbers == (1, 6, 7, 8, 9)
    assert QM9.element_index(["F", "H", "C"]).tolist() == QM9.element_index(np.array([9, 1, 6])).tolist() == [4, 0, 1]
    assert QM9.charge_index([1, -1, 0]).tolist() == [2, 0, 1]
    assert QM9.element_index([]).shape == (0,)
    unsorted = Vocabulary(("O", "H", "C"), charges=(0, 2, -1))
    assert unsorted.element_index(["H", "C", "O"]).tolist() == [1, 2, 0]
    assert unsorted.charge_index([-1, 0, 2]).tolist() == [2, 0, 1]


def test_drug_like_molecules_need_no_more():
    assert sorted(DRUG_VOCABULARY.atomic_numbers) == [5, 6, 7, 8, 9, 15, 16, 17, 35, 53]  # no hydrogen
    assert DRUG_VOCABULARY.charges == (-1, 0, 1)
    assert DRUG_VOCABULARY.bond_orders == (0, 1, 2, 3)


def test_yaml_and_back():
    assert Vocabulary.from_dict(yaml.safe_load(yaml.dump(QM9.to_dict()))) == QM9
    assert hash(Vocabulary(["H"], [0])) == hash(Vocabulary(("H",), (0,)))


def test_errors_name_the_culprit():
    with pytest.raises(ValueError, match="atomic number 17; expected one of the vocabulary's elements H, C, N, O, F"):
        QM9.element_index(["C", "Cl"])
    with pytest.raises(ValueError, match="formal charge 2"):
        QM9.charge_index([0, 2])
    with pytest.raises(ValueError, match="'Xx' is unknown"):
        Vocabulary(("C", "Xx"))
    with pytest.raises(ValueError, match="none twice"):
        Vocabulary(("C", "C"))
    with pytest.raises(ValueError, match="at least one entry"):
        Vocabulary(())
    with pytest.raises(ValueError, match="without gaps"):
        Vocabulary(("C",), bond_orders=(1, 2))


def test_difference_in_words():
    mine, its = Vocabulary(("H", "C", "S"), (-1, 0, 1)), Vocabulary(("H", "C", "N", "F"), (0,))
    assert mine.difference(its) == (
        "they lack the elements S and they have the elements F, N and they lack the charges -1, 1"
    )
    assert Vocabulary(("C", "H")).difference(Vocabulary(("H", "C"))) == "the same classes in another order"
