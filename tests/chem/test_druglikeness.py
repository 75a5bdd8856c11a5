"""Drug-likeness against known values."""

import pytest
from rdkit import Chem

from moldiff.chem import druglikeness


def test_aspirin():
    """QED as in Bickerton et al. 2012 (0.55), SA score as in Ertl & Schuffenhauer 2009 (1.58)."""
    aspirin = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    assert druglikeness.qed(aspirin) == pytest.approx(0.55, abs=0.005)
    assert druglikeness.sa(aspirin) == pytest.approx((10 - 1.58) / 9, abs=0.002)
    assert druglikeness.logp(aspirin) == pytest.approx(1.31, abs=0.005)
    assert druglikeness.lipinski(aspirin) == 4


def test_lipinski_counts_rules():
    assert druglikeness.lipinski(Chem.MolFromSmiles("C" * 40)) == 2  # too heavy, too greasy
    assert druglikeness.lipinski(Chem.MolFromSmiles("OCC(O)C(O)C(O)C(O)C(O)C(O)CO")) == 3  # donors
