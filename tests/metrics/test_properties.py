"""Properties of known molecules."""

import math
from dataclasses import replace

import pytest
from rdkit import Chem
from rdkit.Chem import QED, Crippen, rdMolDescriptors
from rdkit.Contrib.SA_Score import sascorer

from moldiff.metrics import properties as module
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


@pytest.mark.parametrize(
    ("weight", "logp", "violations"),
    [(500.0, 5.0, 0), (500.5, 5.0, 1), (500.0, 5.5, 1), (500.5, 5.5, 2)],
)
def test_limits_of_weight_and_logp(
    weight: float, logp: float, violations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.Descriptors, "MolWt", lambda mol: weight)
    monkeypatch.setattr(module.druglikeness, "logp", lambda mol: logp)
    assert molecular_properties("CCO").lipinski_violations == violations


@pytest.mark.parametrize(
    ("smiles", "violations"),
    [
        ("OCC(O)C(O)C(O)CO", 0),  # 5 donors
        ("OCC(O)C(O)C(O)C(O)CO", 1),  # 6
        ("COC" + "COC" * 9, 0),  # 10 acceptors
        ("COC" + "COC" * 10, 1),  # 11
    ],
)
def test_limits_of_donors_and_acceptors(smiles: str, violations: int) -> None:
    assert molecular_properties(smiles).lipinski_violations == violations


@pytest.mark.parametrize(("violations", "count"), [(0, 1), (1, 1), (2, 0)])
def test_one_violation_is_forgiven(violations: int, count: int) -> None:
    value = replace(molecular_properties("CCO"), lipinski_violations=violations)
    assert PropertyScores.of([value, None]).lipinski.count == count


def test_a_property_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.druglikeness, "qed", lambda mol: math.nan)
    with pytest.raises(ValueError, match="not finite"):
        molecular_properties("CCO")


def test_failed_molecules_stay_in_the_denominators() -> None:
    scores = PropertyScores.of([molecular_properties(ASPIRIN), molecular_properties("C" * 40), None])
    assert (scores.scored.count, scores.scored.total, scores.scored.of) == (2, 3, "valid")
    assert (scores.lipinski.count, scores.lipinski.total) == (1, 3)
    assert (scores.qed.count, scores.tpsa.unit) == (2, "Å²")
    assert PropertyScores.of([]).qed.value is None


def test_errors() -> None:
    with pytest.raises(ValueError, match="RDKit cannot read 'C1C'"):
        molecular_properties("C1C")
