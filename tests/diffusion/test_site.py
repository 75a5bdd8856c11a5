"""Where in a pocket molecules are built."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.files import read_molecules
from moldiff.chem.protein_files import read_pocket
from moldiff.diffusion.site import AROUND_CENTRE, AROUND_LIGAND, find_site

COMPLEX = Path(__file__).parents[1] / "fixtures" / "1l2s"
POCKET, LIGAND = COMPLEX / "pocket.pdb", COMPLEX / "ligand.sdf"


def positions() -> np.ndarray:
    return read_molecules(LIGAND)[0].GetConformer().GetPositions()


@pytest.mark.parametrize("level", ["atom", "residue"])
def test_a_reference_ligand_gives_place_and_size(level) -> None:
    found = find_site(POCKET, level, reference_ligand=LIGAND)
    np.testing.assert_allclose(found.centre, positions().mean(0), atol=1e-4)
    assert found.num_atoms == len(positions())
    assert len(found.pocket) == 1
    shown = found.pocket.pos[0, found.pocket.mask[0]]
    assert len(shown) == (len(found.atoms) if level == "atom" else found.atoms.num_residues)


def test_hydrogens_of_the_ligand_do_not_count() -> None:
    mol = Chem.AddHs(Chem.Mol(Chem.MolFromMolFile(str(LIGAND))), addCoords=True)
    bare, full = find_site(POCKET, "atom", LIGAND), find_site(read_pocket(POCKET), "atom", mol)
    assert mol.GetNumAtoms() > len(positions()) == full.num_atoms == bare.num_atoms
    np.testing.assert_allclose(full.centre, bare.centre, atol=1e-3)
    assert full.atoms.residue_labels == bare.atoms.residue_labels


def test_residues_are_those_near_the_ligand_or_the_centre() -> None:
    protein, ligand = read_pocket(POCKET), positions()
    for given, points, radius in (
        ({"reference_ligand": LIGAND}, ligand, AROUND_LIGAND),
        ({"centre": ligand[0].tolist()}, ligand[:1], AROUND_CENTRE),
    ):
        near = np.linalg.norm(protein.positions[:, None] - points, axis=-1).min(1) <= radius
        expected = {protein.residue_labels[k] for k in protein.residue_index[near]}
        assert set(find_site(protein, "atom", **given).atoms.residue_labels) == expected
    assert find_site(protein, "atom", centre=[23.6, 5.5, 14.0]).num_atoms is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "got none of a reference ligand and a centre; expected one of them"),
        ({"reference_ligand": LIGAND, "centre": [0.0, 0.0, 0.0]}, "got both of"),
        ({"centre": [1.0, 2.0]}, "expected three finite coordinates"),
        ({"centre": [1.0, 2.0, 3.0, 4.0]}, "expected three finite coordinates"),
        ({"centre": [1.0, 2.0, float("nan")]}, "expected three finite coordinates"),
        ({"reference_ligand": Chem.MolFromSmiles("CCO")}, "no heavy atoms with coordinates"),
        ({"reference_ligand": Chem.Mol()}, "no heavy atoms with coordinates"),
    ],
)
def test_errors(given, message) -> None:
    with pytest.raises(ValueError, match=message):
        find_site(POCKET, "atom", **given)
