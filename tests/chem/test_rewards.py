"""Rewards by their names."""

import pytest
from rdkit import Chem
from rdkit.Chem import QED, Crippen

from moldiff.chem.rewards import NAMES, reward_by_name


@pytest.fixture(scope="module")
def aspirin() -> Chem.Mol:
    return Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")


def test_quantities(aspirin: Chem.Mol) -> None:
    assert reward_by_name("qed")(aspirin) == QED.qed(aspirin) == pytest.approx(0.550, abs=0.005)
    assert reward_by_name("logp")(aspirin) == Crippen.MolLogP(aspirin) == pytest.approx(1.31, abs=0.01)
    assert reward_by_name("sa")(aspirin) == pytest.approx((10 - 1.58) / 9, abs=0.002)  # scores go from 1 to 10
    assert reward_by_name("sa")(Chem.AddHs(aspirin)) == reward_by_name("sa")(aspirin)


def test_ease_of_synthesis_goes_from_0_to_1() -> None:
    easy, hard = (Chem.MolFromSmiles(s) for s in ("CCCCCC", "C1CC2CC3C1C1C2C2CC4C3C1C24"))
    assert 0 <= reward_by_name("sa")(hard) < 0.7 < reward_by_name("sa")(easy) <= 1


def test_matches_of_a_pattern_are_counted(aspirin: Chem.Mol) -> None:
    assert reward_by_name("smarts:C(=O)O")(aspirin) == 2.0
    assert reward_by_name("smarts:[NX3]")(aspirin) == 0.0
    assert reward_by_name("smarts:[$([OX2H]),$(O=C)]")(aspirin) == 3.0


@pytest.mark.parametrize("name", ["", "mass", "QED", "smarts", "smarts:"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match=f"expected one of {', '.join(NAMES)}, properties, or smarts:PATTERN"):
        reward_by_name(name)


def test_broken_patterns() -> None:
    with pytest.raises(ValueError, match=r"cannot read the SMARTS pattern '\[C'"):
        reward_by_name("smarts:[C")
