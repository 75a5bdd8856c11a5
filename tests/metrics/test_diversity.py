"""Diversity: equal molecules have none."""

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from moldiff.metrics.diversity import DiversityScores, Structures, nearest_similarities

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


def test_nothing() -> None:
    scores = DiversityScores.of(Structures(()), Structures(SOME))
    assert scores.internal_diversity.value is None
    assert scores.with_rings.total == 0
