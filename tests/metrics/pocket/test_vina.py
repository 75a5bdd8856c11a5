"""Receptors and energies of AutoDock Vina: what is known of types, and meeko's receptor as a second opinion."""

import numpy as np
import pytest
from rdkit import Chem
from scipy.spatial import cKDTree

from moldiff.metrics.pocket import VinaPocket, receptor_pdbqt, sanitized
from moldiff.metrics.pocket.receptor import _hydrogen, autodock_type, is_donor
from moldiff.metrics.pocket.vina import _corners, box_around, ligand_pdbqt


@pytest.fixture(scope="module")
def pocket(protein):
    """With a small box, as the grid takes most of the time."""
    pytest.importorskip("vina")
    pytest.importorskip("meeko")
    return VinaPocket(protein, np.array([23.6, 5.5, 14.0]), np.full(3, 14.0))


def atoms_of(text):
    """(name, residue, x, y, z, type) of the atoms of PDBQT text."""
    rows = [line for line in text.splitlines() if line.startswith("ATOM")]
    return [(r[12:16].strip(), r[17:26], *(float(r[k : k + 8]) for k in (30, 38, 46)), r[77:].strip()) for r in rows]


@pytest.mark.parametrize(
    ("residue", "atom", "element", "kind", "donor"),
    [
        ("ALA", "N", 7, "N", True),
        ("PRO", "N", 7, "N", False),
        ("SER", "OG", 8, "OA", True),
        ("ASP", "OD1", 8, "OA", False),
        ("LYS", "NZ", 7, "N", True),
        ("HIS", "NE2", 7, "N", True),
        ("HIS", "ND1", 7, "NA", False),
        ("HID", "ND1", 7, "N", True),
        ("PHE", "CZ", 6, "A", False),
        ("MET", "SD", 16, "SA", False),
        ("ZN", "ZN", 30, "Zn", False),
        ("XXX", "U", 92, None, False),
    ],
)
def test_types(residue, atom, element, kind, donor):
    assert autodock_type(residue, atom, element) == kind
    assert is_donor(residue, atom) is donor


def test_every_donor_has_one_hydrogen(protein):
    atoms = atoms_of(receptor_pdbqt(protein))
    heavy = [atom for atom in atoms if atom[5] != "HD"]
    hydrogens = np.array([atom[2:5] for atom in atoms if atom[5] == "HD"])
    assert len(heavy) == len(protein.elements)
    np.testing.assert_allclose([atom[2:5] for atom in heavy], protein.positions, atol=1e-3)
    donors = np.array([is_donor(r, a) for r, a in zip(protein.residue_names, protein.atom_names, strict=True)])
    assert len(hydrogens) == donors.sum() > 0
    distance = np.linalg.norm(hydrogens[:, None] - protein.positions, axis=-1)
    nearest = distance.argmin(axis=1)
    assert sorted(nearest) == np.flatnonzero(donors).tolist()
    np.testing.assert_allclose(distance.min(axis=1), 1.0, atol=2e-3)


@pytest.mark.parametrize(
    ("neighbours", "place"),
    [
        ([[1.4, 0, 0]], [-1, 0, 0]),
        ([[0, 0, -1.3]], [0, 0, 1]),
        ([[1.2, 0.9, 0], [-1.2, 0.9, 0]], [0, -1, 0]),
        ([[1.9, 0, 0], [0, 2.1, 0]], [-1, 0, 0]),  # too far to be bonded
    ],
)
def test_hydrogens_point_away_from_the_neighbours(neighbours, place):
    atom = np.array([3.0, 4.0, 5.0])
    positions = np.array([np.zeros(3), *neighbours]) + atom
    np.testing.assert_allclose(_hydrogen(positions, 0, cKDTree(positions)), atom + place, atol=1e-12)


def test_a_hydrogen_between_opposite_neighbours_is_somewhere():
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 1.3, 0.0], [0.0, -1.3, 0.0]])
    assert np.linalg.norm(_hydrogen(positions, 0, cKDTree(positions))) == pytest.approx(1.0)


def test_energies_as_with_a_receptor_of_meeko(protein, ligand, pocket, complex_folder, monkeypatch):
    """Another program adds all hydrogens from templates and types the receptor: the same energies."""
    meeko = pytest.importorskip("meeko")
    ends = {"N": {}, "C": {}}
    for k, (name, residue) in enumerate(zip(protein.atom_names, protein.residues, strict=True)):
        if name in ends:
            ends[name][residue] = (protein.residues[:k].count(residue), protein.positions[k])
    blunt = []
    for name, other in (("N", "C"), ("C", "N")):  # where the chain is cut
        for residue, (index, place) in ends[name].items():
            if min(np.linalg.norm(place - q) for r, (_, q) in ends[other].items() if r != residue) > 1.9:
                blunt.append((residue, index))
    polymer = meeko.Polymer.from_pdb_file(
        str(complex_folder / "pocket.pdb"),
        meeko.ResidueChemTemplates.create_from_defaults(),
        meeko.MoleculePreparation(charge_model="zero"),
        blunt_ends=blunt,
    )
    text = meeko.PDBQTWriterLegacy.write_from_polymer(polymer)[0]
    assert text.count(" HD") > receptor_pdbqt(protein).count(" HD")  # meeko adds all hydrogens of an amino group
    monkeypatch.setattr("moldiff.metrics.pocket.vina.receptor_pdbqt", lambda _: text)
    other = VinaPocket(protein, np.array([23.6, 5.5, 14.0]), np.full(3, 14.0))
    mol = sanitized(ligand)
    assert other.energies(mol) == pocket.energies(mol)


def test_crystal_pose_binds(pocket, ligand, moved):
    crystal = pocket.energies(sanitized(ligand))
    assert (crystal.failure, crystal.docked) == (None, None)
    assert crystal.score < -4.0
    shifted = pocket.energies(sanitized(moved(0.5, 0.0, 0.0)))
    assert shifted.score > crystal.score  # worse
    assert shifted.minimised < shifted.score  # and mended
    assert pocket.energies(sanitized(ligand)) == crystal  # no state is left


def test_what_vina_cannot_do_is_said(pocket, moved):
    assert pocket.energies(sanitized(moved(30.0, 0.0, 0.0))).failure == "outside the box"
    two = Chem.MolFromMolBlock(Chem.MolToMolBlock(Chem.CombineMols(moved(0, 0, 0), moved(1, 0, 0)), kekulize=False))
    energies = pocket.energies(two)
    assert energies.score is None
    assert energies.failure


@pytest.mark.parametrize("hydrogens", [False, True])
def test_the_minimised_pose_is_the_same_molecule_with_that_energy(pocket, moved, hydrogens):
    """In any order of atoms: bonds and angles as they were, and hydrogens where they belong."""
    mol = sanitized(moved(0.4, 0.2, 0.0))
    mol = Chem.AddHs(mol, addCoords=True) if hydrogens else mol
    mol = Chem.RenumberAtoms(mol, np.random.default_rng(0).permutation(mol.GetNumAtoms()).tolist())
    before, pose = mol.GetConformer().GetPositions(), pocket.minimised_pose(mol)
    after = pose.GetConformer().GetPositions()
    assert [a.GetAtomicNum() for a in pose.GetAtoms()] == [a.GetAtomicNum() for a in mol.GetAtoms()]
    assert np.abs(mol.GetConformer().GetPositions() - before).max() == 0
    energies = pocket.energies(mol)
    assert pocket.energies(pose).score == pytest.approx(energies.minimised, abs=0.3)
    assert pocket.energies(pose).score < energies.score - 0.5
    heavy = [a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() > 1]
    assert 0.1 < np.linalg.norm(after - before, axis=1)[heavy].max() < 4
    for pattern, limit in (("[!#1]~[!#1]", 0.005), ("[!#1]~*~[!#1]", 0.01), ("[#1]~*", 0.03)):
        pairs = [(match[0], match[-1]) for match in mol.GetSubstructMatches(Chem.MolFromSmarts(pattern))]
        lengths = [np.linalg.norm(x[[p for p, _ in pairs]] - x[[q for _, q in pairs]], axis=1) for x in (before, after)]
        np.testing.assert_allclose(*lengths, atol=limit)
        assert pairs or not hydrogens


def test_what_cannot_be_minimised_is_said(pocket, moved):
    with pytest.raises(ValueError, match="outside the box"):
        pocket.minimised_pose(sanitized(moved(30.0, 0.0, 0.0)))
    two = Chem.MolFromMolBlock(Chem.MolToMolBlock(Chem.CombineMols(moved(0, 0, 0), moved(1, 0, 0)), kekulize=False))
    with pytest.raises(ValueError, match="Vina cannot minimise it"):
        pocket.minimised_pose(two)


def test_box(protein, ligand):
    positions = ligand.GetConformer().GetPositions()
    centre, size = box_around(positions, protein)
    assert (positions.min(axis=0) - 7.99 > centre - size / 2).all() or (size >= 29.9).any()
    np.testing.assert_allclose(size, np.ptp(positions, axis=0) + 16.0)
    long = np.array([[0.0, 0.0, 0.0], [25.0, 0.0, 0.0]])
    np.testing.assert_allclose(box_around(long, protein)[1], [35.0, 16.0, 16.0])
    just = np.array([[0.0, 0.0, 0.0], [19.0, 13.0, 21.0]])  # margins of 5.45, 8 and 5 Å
    np.testing.assert_allclose(box_around(just, protein)[1], [29.9, 29.0, 31.0])
    np.testing.assert_allclose(box_around(just, protein)[0], [9.5, 6.5, 10.5])
    np.testing.assert_allclose(box_around(None, protein)[1], [25.0, 25.0, 25.0])
    np.testing.assert_allclose(box_around(None, protein)[0], protein.positions.mean(axis=0))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1, 1])
def test_the_box_ends_half_an_edge_from_its_centre(pocket, axis, side):
    """Centred at (23.6, 5.5, 14.0), with edges of 14 Å."""
    for distance, inside in ((6.9, True), (7.1, False)):
        place = np.array([23.6, 5.5, 14.0])
        place[axis] += side * distance
        mol = Chem.MolFromSmiles("C")
        mol.AddConformer(Chem.Conformer(1))
        mol.GetConformer().SetPositions(place[None])
        assert (pocket.energies(mol).failure != "outside the box") is inside


@pytest.mark.parametrize("size", [[4.9, 5.1, 25.0], [29.9, 10.0, 35.0]])
def test_points_through_the_box(size):
    """At its corners, between them at most 5 Å apart, and not more than it takes."""
    centre, size = np.array([1.0, -2.0, 3.0]), np.array(size)
    points = _corners(centre, size)
    for axis in range(3):
        along = np.unique(points[:, axis].round(9))
        assert (along[0], along[-1]) == pytest.approx((centre[axis] - size[axis] / 2, centre[axis] + size[axis] / 2))
        assert np.diff(along).max() <= 5.0 + 1e-9
        assert len(along) == np.ceil(size[axis] / 5) + 1
    assert len(points) == np.prod(np.ceil(size / 5) + 1)


def test_docking_finds_a_pose_at_least_as_good(pocket, capfd):
    mol = Chem.MolFromSmiles("CC(N)=O")
    conformer = Chem.Conformer(4)
    shape = np.array([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [2.2, 1.15, 0.0], [2.1, -1.05, 0.0]])
    conformer.SetPositions(shape - shape.mean(0) + [23.6, 5.5, 14.0])
    mol.AddConformer(conformer)
    without, docked = pocket.energies(mol), pocket.energies(mol, dock=True)
    assert without.docked is None
    assert (docked.score, docked.minimised, docked.failure) == (without.score, without.minimised, None)
    assert docked.docked <= docked.minimised + 0.05
    assert docked.docked < -2.0
    assert capfd.readouterr() == ("", "")  # Vina would tell much


def test_elements_of_other_residues_have_their_types():
    table = Chem.GetPeriodicTable()
    for number in (6, 15, 9, 17, 35, 53, 12, 20, 25, 26, 30):
        assert autodock_type("XXX", "X1", number) == table.GetElementSymbol(number)
    assert [autodock_type("XXX", "X1", number) for number in (7, 8, 16)] == ["NA", "OA", "SA"]
    assert [autodock_type("ALA", "N", 7), autodock_type("HEM", "NA", 7)] == ["N", "NA"]
    known = {number for number in range(1, 93) if autodock_type("XXX", "X1", number) is not None}
    assert known == {6, 7, 8, 9, 12, 15, 16, 17, 20, 25, 26, 30, 35, 53}


def test_lines_of_a_receptor_are_in_columns(protein):
    rows = [row for row in receptor_pdbqt(protein).splitlines() if row.startswith("ATOM")]
    assert [int(row[6:11]) for row in rows] == list(range(1, len(rows) + 1))
    assert {len(row.rstrip()) for row in rows} <= {78, 79}
    assert {row[13] for row in rows if row[77:].strip() != "HD"} <= set("CNOS")  # elements right-aligned in 13 and 14
    assert receptor_pdbqt(protein).endswith("TER\nEND\n")


def test_rings_of_the_ligand_stay_whole(ligand):
    pytest.importorskip("meeko")
    text = ligand_pdbqt(sanitized(ligand))
    heavy = [row for row in atoms_of(text) if not row[5].startswith("H")]
    assert len(heavy) == ligand.GetNumAtoms()
    assert "CG" not in {row[5] for row in heavy}  # the glue of a ring that was cut open
