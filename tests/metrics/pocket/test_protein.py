"""Reading a pocket, cropping it, and the places where molecules are too close to it."""

import numpy as np
import pytest
from rdkit import Chem

from moldiff.metrics.pocket import clashes, protein_from_mol, read_protein
from moldiff.metrics.pocket.clashes import SEVERE, TOLERANCE


def test_heavy_atoms_without_waters(protein, complex_folder, tmp_path):
    text = (complex_folder / "pocket.pdb").read_text()
    lines = [line for line in text.splitlines() if line.startswith("ATOM")]
    water = f"HETATM 9999  O   HOH W   1    {25.0:8.3f}{5.0:8.3f}{13.0:8.3f}  1.00  0.00           O"
    hydrogen = f"ATOM   9998  H   ALA W   2    {25.0:8.3f}{5.0:8.3f}{14.0:8.3f}  1.00  0.00           H"
    path = tmp_path / "wet.pdb"
    path.write_text("\n".join([*lines, water, hydrogen, "END", ""]))
    wet = read_protein(path)
    assert wet.elements.tolist() == protein.elements.tolist()
    assert wet.mol.GetNumAtoms() == len(lines)
    np.testing.assert_array_equal(wet.positions, protein.positions)
    assert wet.residue_names[wet.residues.index("A:64")] == "SER"


def test_cropping_keeps_whole_residues(protein, ligand):
    positions = ligand.GetConformer().GetPositions()
    near = protein.near(positions, 4.0)
    assert 0 < len(near.residues) < len(protein.residues)
    for residue in set(near.residues):
        assert near.residues.count(residue) == protein.residues.count(residue)
    distance = np.linalg.norm(protein.positions[:, None] - positions, axis=-1).min(axis=1)
    assert set(near.residues) == {r for r, d in zip(protein.residues, distance, strict=True) if d <= 4.0}
    assert protein.near(positions + 1000.0, 4.0) is protein


@pytest.mark.parametrize(
    "text", ["", "HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O\n"]
)
def test_files_without_a_protein(tmp_path, text):
    path = tmp_path / "empty.pdb"
    path.write_text(text + "END\n")
    with pytest.raises(ValueError, match=r"empty.pdb: got (no|a file without)"):
        read_protein(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_protein(tmp_path / "none.pdb")
    with pytest.raises(ValueError, match="residue information"):
        protein_from_mol(Chem.MolFromSmiles("CC"))


def test_crystal_pose_has_no_severe_clash(protein, ligand):
    found = clashes(ligand, protein)
    assert found.severe == 0
    assert SEVERE < found.closest < 1.0


def test_clashes_as_counted_one_by_one(protein, moved):
    mol = moved(2.0, 0.0, 0.0)
    table = Chem.GetPeriodicTable()
    count = severe = 0
    for atom, position in zip(mol.GetAtoms(), mol.GetConformer().GetPositions(), strict=True):
        for element, place in zip(protein.elements.tolist(), protein.positions, strict=True):
            radii = table.GetRvdw(atom.GetAtomicNum()) + table.GetRvdw(element)
            distance = float(np.linalg.norm(position - place))
            count += distance + TOLERANCE < radii
            severe += distance < SEVERE * radii
    found = clashes(mol, protein)
    assert (found.count, found.severe) == (count, severe)
    assert count > severe > 0


def test_hydrogens_do_not_clash(protein, ligand):
    full = Chem.Mol(ligand)
    Chem.SanitizeMol(full)
    assert clashes(Chem.AddHs(full, addCoords=True), protein) == clashes(ligand, protein)


def test_far_away_nothing_clashes(protein, moved):
    found = clashes(moved(1000.0, 0.0, 0.0), protein)
    assert (found.count, found.severe, found.closest) == (0, 0, float("inf"))
    with pytest.raises(ValueError, match="without coordinates"):
        clashes(Chem.MolFromSmiles("CC"), protein)
