"""Properties of known molecules."""

import pytest
from rdkit import Chem
from rdkit.Chem import QED, Crippen, rdMolDescriptors
from rdkit.Contrib.SA_Score import sascorer

from moldiff.metrics.properties import PropertyScores, molecular_properties

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def test_aspirin() -> None:
    mol = Chem.MolFromSmiles(ASPIRIN)
    found = molecular_properties(ASPIRIN)
    assert found.qed == QED.qed(mol) == pytest.approx(0.550, abs=0.005)
    assert found.sa == sascorer.calculateScore(mol) == pytest.approx(1.58, abs=0.01)
    assert found.logp == Crippen.MolLogP(mol) == pytest.approx(1.31, abs=0.01)
    assert found.tpsa == rdMolDescriptors.CalcTPSA(mol) == pytest.approx(63.6)
    assert found.weight == pytest.approx(180.16, abs=0.01)
    assert found.lipinski_violations == 0


def test_rule_of_five() -> None:
    """A long alkane is too heavy and too greasy; cellobiose has 8 donors and 11 acceptors."""
    assert molecular_properties("C" * 40).lipinski_violations == 2
    cellobiose = molecular_properties("OCC1OC(OC2C(O)C(O)C(O)OC2CO)C(O)C(O)C1O")
    assert cellobiose.lipinski_violations == 2


def test_failed_molecules_stay_in_the_denominators() -> None:
    scores = PropertyScores.of([molecular_properties(ASPIRIN), molecular_properties("C" * 40), None])
    assert (scores.scored.count, scores.scored.total, scores.scored.of) == (2, 3, "valid")
    assert (scores.lipinski.count, scores.lipinski.total) == (1, 3)
    assert (scores.qed.count, scores.tpsa.unit) == (2, "Å²")
    assert PropertyScores.of([]).qed.value is None


def test_errors() -> None:
    with pytest.raises(ValueError, match="RDKit cannot read 'C1C'"):
        molecular_properties("C1C")
