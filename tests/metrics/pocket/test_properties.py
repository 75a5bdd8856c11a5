"""Drug-likeness and strain against known values and laws."""

import pytest
from rdkit import Chem

from moldiff.metrics.pocket import properties, sanitized


def test_aspirin():
    """QED as in Bickerton et al. 2012 (0.55), SA score as in Ertl & Schuffenhauer 2009 (1.58)."""
    aspirin = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    assert properties.qed(aspirin) == pytest.approx(0.55, abs=0.005)
    assert properties.sa(aspirin) == pytest.approx((10 - 1.58) / 9, abs=0.002)
    assert properties.logp(aspirin) == pytest.approx(1.31, abs=0.005)
    assert properties.lipinski(aspirin) == 4


def test_lipinski_counts_rules():
    assert properties.lipinski(Chem.MolFromSmiles("C" * 40)) == 2  # too heavy, too greasy
    assert properties.lipinski(Chem.MolFromSmiles("OCC(O)C(O)C(O)C(O)C(O)C(O)CO")) == 3  # donors


def test_strain_of_a_relaxed_and_of_a_bent_pose():
    from rdkit.Chem import AllChem

    mol = Chem.AddHs(Chem.MolFromSmiles("OCCc1ccccc1"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    AllChem.UFFOptimizeMolecule(mol, maxIters=2000)
    relaxed = Chem.RemoveHs(mol)
    assert 0.0 <= properties.strain(relaxed) < 3.0  # at most a torsion away from the best conformer
    bent = Chem.Mol(relaxed)
    positions = bent.GetConformer().GetPositions()
    positions[5] += [0.0, 0.0, 0.8]  # an atom of the ring
    bent.GetConformer().SetPositions(positions)
    assert properties.strain(bent) > properties.strain(relaxed) + 3.0


def test_strain_without_parameters():
    mol = Chem.MolFromSmiles("CS(O)(O)O")
    from rdkit.Chem import AllChem

    AllChem.Compute2DCoords(mol)
    assert properties.strain(mol) is None


def test_crystal_pose_is_not_strained(ligand):
    assert 0.0 <= properties.strain(sanitized(ligand)) < 50.0
