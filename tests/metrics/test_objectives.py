"""What ligands are improved for: known values, and which of two is better."""

import pytest
from rdkit import Chem

from moldiff.chem import druglikeness
from moldiff.metrics.objectives import OBJECTIVES, Objective, objective
from moldiff.metrics.pocket.protein import Protein, protein_from_mol


def test_objectives_without_a_pocket() -> None:
    aspirin = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    for name, value in (("qed", druglikeness.qed(aspirin)), ("sa", druglikeness.sa(aspirin))):
        found = objective(name)
        assert found.name == name
        assert found.function(aspirin) == value
        assert found.better(0.7) > found.better(0.3)


def test_which_is_better() -> None:
    rises, falls = Objective("a", lambda mol: 1.0), Objective("b", lambda mol: 1.0, falls=True)
    assert [rises.better(2.5), falls.better(2.5)] == [2.5, -2.5]


def test_what_is_missing_is_told() -> None:
    with pytest.raises(ValueError, match=f"'beauty'; expected one of {', '.join(OBJECTIVES)}"):
        objective("beauty")
    for given in ({}, {"pocket": "a.pdb"}, {"ligand": Chem.MolFromSmiles("C")}):
        with pytest.raises(ValueError, match="needs a pocket and a ligand"):
            objective("vina", **given)


def test_energies_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    class Grid:
        @classmethod
        def around(cls, protein: Protein, mol: Chem.Mol) -> "Grid":
            assert (protein.name, mol.GetNumAtoms()) == ("protein of a.pdb", 1)
            return cls()

        def energies(self, mol: Chem.Mol) -> object:
            return type("Energies", (), {"score": -1.0, "minimised": -float(mol.GetNumAtoms()), "docked": None})

    def read(path: str) -> Protein:
        pdb = f"{'ATOM      1  CA  ALA A   1      50.000   0.000   0.000  1.00  0.00':<76} C"
        return protein_from_mol(Chem.MolFromPDBBlock(pdb, sanitize=False), f"protein of {path}")

    def atom(smiles: str) -> Chem.Mol:
        mol = Chem.MolFromSmiles(smiles)
        mol.AddConformer(Chem.Conformer(1))
        return mol

    monkeypatch.setattr("moldiff.metrics.objectives.VinaPocket", Grid)
    monkeypatch.setattr("moldiff.metrics.objectives.read_protein", read)
    monkeypatch.setattr("moldiff.metrics.objectives.read_molecule", lambda path: atom("O"))
    for ligand in (atom("C"), "a.sdf"):
        found = objective("vina", "a.pdb", ligand)
        assert found.function(Chem.MolFromSmiles("CCO")) == -3.0
        assert found.better(-9.0) > found.better(-1.0)
