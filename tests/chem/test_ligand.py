from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import QED, AllChem, rdMolTransforms

from moldiff.chem.arrays import sanitized, to_mol
from moldiff.chem.conformer import embed_smiles, embedded_or_reason
from moldiff.chem.ligand import UnsuitableLigandError, prepare_arrays, prepare_ligand
from moldiff.chem.smiles import canonical_smiles

PREPARED = {  # given -> neutral where possible, without stereo
    "C[C@H]([NH3+])C(=O)[O-]": "CC(N)C(=O)O",
    "[O-]C(=O)c1ccccc1": "O=C(O)c1ccccc1",
    "C[N+](C)(C)CCO": "C[N+](C)(C)CCO",
    "O=[N+]([O-])c1ccccc1": "O=[N+]([O-])c1ccccc1",
    "N#Cc1cc[nH]c1": "N#Cc1cc[nH]c1",
    "CC(=O)OP(=O)([O-])O": "CC(=O)OP(=O)(O)O",
    "OB(O)c1ccccc1": "OB(O)c1ccccc1",
    "C/C=C/C(=N)N": "CC=CC(=N)N",
    "CS(=O)(=O)NCC#C": "C#CCNS(C)(=O)=O",
}
UNSUITABLE = {
    "CCCCO": "fewer than 6",
    "C" * 51: "more than 50",
    "CC(=O)OCC.CCO": "fragment",
    "C[Si](C)(C)CCO": "element",
    "CC[CH]CCCO": "radical",
}


def embedded(smiles: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=1) == 0
    return mol


@pytest.mark.parametrize("hydrogens", [True, False])
@pytest.mark.parametrize("given", PREPARED)
def test_one_form_of_heavy_atoms_from_which_the_molecule_follows(given, hydrogens):
    mol = embedded(given)
    ligand = prepare_ligand(mol if hydrogens else Chem.RemoveHs(mol))
    assert ligand.smiles == PREPARED[given]
    assert (ligand.molecule.atomic_numbers > 1).all()
    again = sanitized(to_mol(ligand.molecule, hydrogens=False))
    assert canonical_smiles(again) == ligand.smiles
    assert ligand.qed == pytest.approx(QED.qed(Chem.MolFromSmiles(ligand.smiles)))
    assert ligand.logp == pytest.approx(Chem.Crippen.MolLogP(Chem.MolFromSmiles(ligand.smiles)))


@pytest.mark.parametrize("given", UNSUITABLE)
def test_unsuitable_molecules_are_refused_with_the_reason(given):
    with pytest.raises(UnsuitableLigandError, match=UNSUITABLE[given]):
        prepare_ligand(embedded(given))


def test_without_coordinates_or_sense_a_molecule_is_refused():
    with pytest.raises(UnsuitableLigandError, match="3D"):
        prepare_ligand(Chem.MolFromSmiles("c1ccccc1O"))
    with pytest.raises(UnsuitableLigandError, match="RDKit rejects"):
        prepare_ligand(Chem.MolFromSmiles("CC(C)(C)(C)CCC", sanitize=False))


def test_first_sane_geometry_is_taken():
    good = prepare_ligand(embedded("CC(=O)Nc1ccc(O)cc1")).molecule
    stretched = replace(good, positions=good.positions * 1.5)
    clashing = replace(
        good, positions=np.where(np.arange(len(good))[:, None] == 0, good.positions[[-1]], good.positions)
    )
    assert prepare_arrays([stretched]) == "bond lengths are off"
    assert isinstance(prepare_arrays([clashing]), str)
    ligand = prepare_arrays([stretched, clashing, good])
    assert ligand.geometry == 2
    np.testing.assert_array_equal(ligand.molecule.positions, good.positions)


def test_atoms_that_clash_at_sound_bond_lengths():
    mol = embedded("CCCCCC")
    rdMolTransforms.SetAngleDeg(mol.GetConformer(), 0, 1, 2, 80.0)  # brings the outer atoms to 1.97 Å
    assert prepare_ligand(mol).smiles == "CCCCCC"
    rdMolTransforms.SetAngleDeg(mol.GetConformer(), 0, 1, 2, 60.0)  # 1.53 Å
    with pytest.raises(UnsuitableLigandError, match="clash"):
        prepare_ligand(mol)


def test_embedding_depends_on_the_seed_alone():
    smiles = "CC(C)Cc1ccc(C(C)C(=O)O)cc1"
    first, second, other = (embed_smiles(smiles, seed).GetConformer().GetPositions() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0.1


def test_embedded_geometry_is_a_minimum():
    mol = embed_smiles("CC(=O)Nc1ccc(O)cc1", 0)
    field = AllChem.MMFFGetMoleculeForceField(mol, AllChem.MMFFGetMoleculeProperties(mol))
    before = field.CalcEnergy()
    field.Minimize(maxIts=2000)
    assert before - field.CalcEnergy() < 0.1  # kcal/mol


FAILURES = {
    "C1CC": "RDKit rejects it",
    "OC1C#CC1CC": "no conformer was found",
    "[Zn]CCCCCCC": "no force field has parameters for it",
    "CCCC": "fewer than 6 heavy atoms",
}


@pytest.mark.parametrize(("smiles", "reason"), FAILURES.items())
def test_what_cannot_be_embedded_has_a_reason(smiles, reason):
    assert embedded_or_reason((smiles, 0)) == reason


def test_boron_falls_back_on_another_force_field():
    assert embedded_or_reason(("OB(O)c1ccccc1", 0)).smiles == "OB(O)c1ccccc1"


def test_it_does_not_matter_where_a_ligand_lies():
    mol = embedded("CC(=O)Oc1ccccc1C(=O)O")
    here = prepare_ligand(mol).molecule
    positions = mol.GetConformer().GetPositions()
    mol.GetConformer().SetPositions(positions + np.array([100.0, -50.0, 7.0]))
    there = prepare_ligand(mol).molecule
    np.testing.assert_allclose(there.positions - here.positions, [[100.0, -50.0, 7.0]] * len(here), atol=1e-9)
    for factor in (0.5, 1.5):
        mol.GetConformer().SetPositions(factor * positions - 300.0)
        with pytest.raises(UnsuitableLigandError, match="bond lengths"):
            prepare_ligand(mol)


def test_conformers_are_minima_of_the_force_field():
    """There, a step of it changes nothing."""
    mol = embed_smiles("CCOC(=O)c1ccncc1", seed=3)
    before = mol.GetConformer().GetPositions()
    forces = AllChem.MMFFGetMoleculeForceField(mol, AllChem.MMFFGetMoleculeProperties(mol))
    assert np.abs(forces.CalcGrad()).max() < 0.5  # kcal/mol/Å; ETKDG alone leaves tens
    np.testing.assert_array_equal(mol.GetConformer().GetPositions(), before)
