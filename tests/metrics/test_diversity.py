"""Diversity: equal molecules have none."""

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from moldiff.metrics.diversity import DiversityScores, Structures, nearest_similarities
from moldiff.metrics.mean import Mean

SOME = ("CCO", "c1ccccc1C", "CC(=O)N", "C1CC1O", "c1ccncc1", "Cc1ccccc1O")


def similarity(a: str, b: str) -> float:
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    one, other = (generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in (a, b))
    return DataStructs.TanimotoSimilarity(one, other)


def test_equal_molecules_have_no_diversity() -> None:
    scores = DiversityScores.of(Structures(("CCO",) * 5))
    assert scores.internal_diversity.value == 0
    assert scores.internal_diversity.interval == (0, 0)
    assert (scores.nearest_neighbour, scores.known_scaffolds) == (None, None)


def test_internal_diversity_is_over_all_pairs() -> None:
    pairs = [1 - similarity(a, b) for k, a in enumerate(SOME) for b in SOME[:k]]
    found = DiversityScores.of(Structures(SOME)).internal_diversity
    assert found.value == pytest.approx(np.mean(pairs))
    assert found.interval is not None
    assert 0 <= found.interval.low < np.mean(pairs) < found.interval.high <= 1


def test_two_molecules_are_enough_and_one_is_not() -> None:
    found = DiversityScores.of(Structures(SOME[:2])).internal_diversity
    assert found.value == pytest.approx(1 - similarity(*SOME[:2]))
    assert found.count == 2
    alone = DiversityScores.of(Structures(SOME[:1])).internal_diversity
    assert (alone.value, alone.interval, alone.count) == (None, None, 0)


@pytest.mark.parametrize(
    ("smiles", "place", "bound"), [(("CCO",) * 5 + ("c1ccccc1",), 0, 0.0), (("CCO", "CCO", "c1ccccc1", "N"), 1, 1.0)]
)
def test_the_interval_stays_between_0_and_1(smiles: tuple[str, ...], place: int, bound: float) -> None:
    found = DiversityScores.of(Structures(smiles)).internal_diversity
    assert found.interval is not None
    assert found.interval[place] == bound
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1  # type: ignore[operator]


def test_the_interval_is_twice_that_of_separate_values() -> None:
    """Each pair counts for two molecules."""
    smiles = [f"{a}{'C' * n}{b}" for a in ("", "O", "N", "F") for n in (2, 3, 5) for b in ("C", "O", "N")]
    each = [np.mean([1 - similarity(a, b) for k, b in enumerate(smiles) if k != i]) for i, a in enumerate(smiles)]
    separate = Mean.of_values([float(value) for value in each], "valid")
    found = DiversityScores.of(Structures(tuple(smiles))).internal_diversity
    assert found.value == pytest.approx(separate.value)
    assert found.interval is not None
    assert separate.interval is not None
    assert 0 < found.interval.low < found.interval.high < 1
    for bound, narrow in zip(found.interval, separate.interval, strict=True):
        assert bound - np.mean(each) == pytest.approx(2 * (narrow - np.mean(each)))


@pytest.mark.parametrize(("given", "compared"), [(3000, 3000), (3001, 1501), (6001, 2001)])
def test_pairs_of_at_most_3000_molecules(given: int, compared: int) -> None:
    many = Structures(("C",) * given)
    vars(many)["fingerprints"] = [DataStructs.ExplicitBitVect(8)] * given
    assert DiversityScores.of(many).internal_diversity.count == compared


def test_fingerprints_have_2048_bits() -> None:
    assert {len(fingerprint) for fingerprint in Structures(SOME).fingerprints} == {2048}


def test_nearest_neighbours() -> None:
    reference = Structures(SOME[2:])
    found = nearest_similarities(Structures(SOME), reference)
    assert found == [max(similarity(a, b) for b in SOME[2:]) for a in SOME]
    assert found[2:] == [1.0] * 4
    assert nearest_similarities(Structures(SOME), Structures(())) == [0.0] * 6


def test_scaffolds() -> None:
    """Toluene and cresol share benzene; cyclopropanol and pyridine have their own; ethanol and acetamide none."""
    scores = DiversityScores.of(Structures(SOME), Structures(("c1ccccc1F", "CCC")))
    assert (scores.with_rings.count, scores.with_rings.total) == (4, 6)
    assert (scores.distinct_scaffolds.count, scores.distinct_scaffolds.total) == (3, 4)
    assert scores.known_scaffolds is not None
    assert (scores.known_scaffolds.count, scores.known_scaffolds.total) == (1, 3)
    assert scores.nearest_neighbour is not None
    assert scores.nearest_neighbour.count == 6


def test_nothing() -> None:
    scores = DiversityScores.of(Structures(()), Structures(SOME))
    assert scores.internal_diversity.value is None
    assert scores.with_rings.total == 0
