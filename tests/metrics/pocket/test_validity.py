"""The strict rule for molecules without hydrogen atoms."""

import pytest
from rdkit import Chem

from moldiff.metrics.pocket import design_verdict
from moldiff.metrics.strict import Cause, strict_verdict


def heavy(smiles: str) -> Chem.Mol:
    """As an SDF file without hydrogens gives it: Kekulé bonds, not sanitized."""
    mol = Chem.MolFromSmiles(smiles, sanitize=False)
    return mol


@pytest.mark.parametrize(
    "smiles",
    ["C", "CCO", "C1=CC=CC=C1", "C[N+](C)(C)C", "CS(=O)(=O)N", "[O-]C(=O)C", "CP(=O)(O)O", "c1ccccc1", "FB(F)C"],
)
def test_whole_molecules_are_valid_as_with_hydrogens(smiles):
    verdict = design_verdict(heavy(smiles))
    assert verdict == strict_verdict(Chem.AddHs(Chem.MolFromSmiles(smiles)))
    assert verdict.cause is None


@pytest.mark.parametrize(
    ("smiles", "cause"),
    [
        ("C(C)(C)(C)(C)C", Cause.VALENCE),
        ("CN(C)(C)C", Cause.VALENCE),
        ("F=C", Cause.VALENCE),
        ("CC.O", Cause.FRAGMENTS),
        ("C.C", Cause.NO_BONDS),
        ("C[CH2]", Cause.RADICAL),
        ("c1cccc1", Cause.SANITIZE),
    ],
)
def test_broken_molecules(smiles, cause):
    assert design_verdict(heavy(smiles)).cause is cause
    assert design_verdict(None).cause is Cause.MISSING
    assert design_verdict(Chem.Mol()).cause is Cause.MISSING


def test_with_hydrogens_it_is_the_strict_rule():
    """One hydrogen is missing: with hydrogens as atoms that shows."""
    mol = Chem.RWMol(Chem.AddHs(Chem.MolFromSmiles("CCO")))
    mol.RemoveAtom(mol.GetNumAtoms() - 1)
    assert design_verdict(mol).cause is Cause.RADICAL


def test_molecule_is_not_changed(ligand):
    before = Chem.MolToMolBlock(ligand, kekulize=False)
    assert design_verdict(ligand).cause is None
    assert Chem.MolToMolBlock(ligand, kekulize=False) == before
