"""Where contacts begin and end: one atom of a residue, one group of a molecule, and the distance between them."""

from contextlib import nullcontext

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff.metrics.pocket import Protein, clashes, interactions, protein_from_mol
from moldiff.metrics.pocket.clashes import Clashes
from tests.chem.protein_text import atom, pdb

ORIGIN = (0.0, 0.0, 0.0)
RING = ("CG", "CD1", "CE1", "CZ", "CE2", "CD2")  # in the order of its bonds


def protein_of(*lines: str) -> Protein:
    return protein_from_mol(Chem.MolFromPDBBlock(pdb(*lines), sanitize=False, proximityBonding=False))


def placed(smiles: str, distance: float) -> Chem.Mol:
    """With the first atom at a distance from the origin along x, and the others behind it."""
    mol = Chem.MolFromSmiles(smiles)
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.SetPositions(np.array([[distance + 3.0 * k, 0.0, 0.0] for k in range(mol.GetNumAtoms())]))
    mol.AddConformer(conformer)
    return mol


@pytest.mark.parametrize(
    ("kind", "limit", "smiles", "residue", "name"),
    [
        ("donor", 3.5, "OC", "ASP", "OD1"),
        ("acceptor", 3.5, "OC", "LYS", "NZ"),
        ("hydrophobic", 4.0, "C", "ALA", "CB"),
        ("hydrophobic", 4.0, "Cl", "MET", "SD"),
        ("cation", 4.5, "[NH4+]", "GLU", "OE2"),
        ("anion", 4.5, "[O-]C(C)=O", "ARG", "NH1"),
    ],
)
def test_a_contact_ends_at_its_limit(kind: str, limit: float, smiles: str, residue: str, name: str) -> None:
    protein = protein_of(atom(name, residue, 7, ORIGIN))
    assert (f"A:{residue}7", kind) in interactions(placed(smiles, limit - 0.05), protein).pairs
    assert (f"A:{residue}7", kind) not in interactions(placed(smiles, limit + 0.05), protein).pairs


@pytest.mark.parametrize(
    ("residue", "name", "smiles", "kinds"),
    [
        ("ALA", "O", "OC", {"donor"}),  # accepts, gives nothing
        ("ALA", "N", "OC", {"acceptor"}),
        ("PRO", "N", "OC", set()),  # carries no hydrogen
        ("SER", "OG", "OC", {"donor", "acceptor"}),
        ("HIS", "ND1", "OC", {"donor"}),  # the free one
        ("HIS", "NE2", "OC", {"acceptor"}),
        ("LYS", "NZ", "OC", {"acceptor"}),
        ("ALA", "CA", "C", set()),
        ("SER", "CB", "C", set()),  # bonded to oxygen
        ("LEU", "CD1", "C", {"hydrophobic"}),
        ("LEU", "CD1", "OC", set()),
        ("ASP", "OD1", "[NH4+]", {"donor", "cation"}),
        ("ASN", "OD1", "[NH4+]", {"donor"}),  # an amide is not charged
        ("LYS", "NZ", "[O-]C(C)=O", {"acceptor", "anion"}),
        ("ASN", "ND2", "[O-]C(C)=O", {"acceptor"}),
    ],
)
def test_kinds_of_atoms(residue: str, name: str, smiles: str, kinds: set[str]) -> None:
    protein = protein_of(atom(name, residue, 7, ORIGIN))
    assert {kind for _, kind in interactions(placed(smiles, 3.0), protein).pairs} == kinds


def ring_at(angle: float, distance: float) -> Chem.Mol:
    """Benzene above the origin, turned by an angle about an axis in its own plane."""
    turns, tilt = np.radians(60) * np.arange(6)[:, None], np.radians(angle)
    other = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    mol = Chem.MolFromSmiles("c1ccccc1")
    conformer = Chem.Conformer(6)
    circle = 1.39 * (np.cos(turns) * np.array([1.0, 0.0, 0.0]) + np.sin(turns) * other)
    conformer.SetPositions(circle + np.array([0.0, 0.0, distance]))
    mol.AddConformer(conformer)
    return mol


def phenylalanine(names: tuple[str, ...] = RING) -> Protein:
    turns = np.radians(60) * np.arange(6)
    places = {n: (1.39 * np.cos(t), 1.39 * np.sin(t), 0.0) for n, t in zip(RING, turns.tolist(), strict=True)}
    return protein_of(*(atom(name, "PHE", 7, places[name]) for name in names))


@pytest.mark.parametrize(
    ("distance", "angle", "stacked"),
    [
        (5.45, 0, True),
        (5.55, 0, False),
        (5.3, 29.6, True),
        (5.3, 30.4, False),
        (5.3, 49.6, False),
        (5.3, 50.4, True),
        (6.3, 49.6, False),
        (6.3, 50.4, True),
        (6.45, 90, True),
        (6.55, 90, False),
    ],
)
def test_rings_within_their_limits(distance: float, angle: float, stacked: bool) -> None:
    for turn in (angle, -angle, 180 - angle):  # a plane has two sides
        pairs = interactions(ring_at(turn, distance), phenylalanine()).pairs
        assert (("A:PHE7", "aromatic") in pairs) is stacked


def test_a_ring_with_a_missing_atom_is_none() -> None:
    pairs = interactions(ring_at(0, 3.5), phenylalanine(RING[:-1])).pairs
    assert ("A:PHE7", "aromatic") not in pairs


@pytest.mark.parametrize("outer", [0, 1])
def test_each_ring_of_a_fused_system_is_stacked_for_itself(outer: int) -> None:
    """Naphthalene with either ring 4 Å above phenylalanine and the other one turned away from it."""
    mol = Chem.MolFromSmiles("c1ccc2ccccc2c1")
    AllChem.Compute2DCoords(mol)
    flat = mol.GetConformer().GetPositions()
    rings = [list(ring) for ring in mol.GetRingInfo().AtomRings()]
    one, other = (flat[ring].mean(0) for ring in (rings[outer], rings[1 - outer]))
    along = (other - one) / np.linalg.norm(other - one)
    across = np.cross([0.0, 0.0, 1.0], along)
    away = np.array([0.0, 0.0, 1.0])  # upright, above the plane: the other ring is the further one
    centred = flat - one
    upright = np.outer(centred @ across, [1.0, 0.0, 0.0]) + np.outer(centred @ along, away)
    mol.GetConformer().SetPositions(upright + 6.2 * away)
    assert ("A:PHE7", "aromatic") in interactions(mol, phenylalanine()).pairs
    mol.GetConformer().SetPositions(upright + 6.8 * away)
    assert ("A:PHE7", "aromatic") not in interactions(mol, phenylalanine()).pairs


def test_a_ring_that_is_not_aromatic_does_not_stack() -> None:
    mol = Chem.MolFromSmiles("C1CCCCC1")
    mol.AddConformer(ring_at(0, 3.8).GetConformer())
    assert {kind for _, kind in interactions(mol, phenylalanine()).pairs} == {"hydrophobic"}


@pytest.mark.parametrize(
    ("distance", "expected"),
    [  # two carbons: 3.4 Å of radii
        (2.37, (1, 1)),
        (2.39, (1, 0)),
        (2.89, (1, 0)),
        (2.91, (0, 0)),
        (5.5, (0, 0)),
    ],
)
def test_clashes_begin_where_they_are_said_to(distance: float, expected: tuple[int, int]) -> None:
    found = clashes(placed("C", distance), protein_of(atom("CB", "ALA", 7, ORIGIN)))
    assert found == Clashes(*expected, pytest.approx(distance / 3.4))


def test_hydrogen_alone_does_not_clash() -> None:
    hydrogen = Chem.MolFromSmiles("[H][H]")
    AllChem.Compute2DCoords(hydrogen)
    with pytest.raises(ValueError, match="without heavy atoms"):
        clashes(hydrogen, protein_of(atom("CB", "ALA", 7, ORIGIN)))


@pytest.mark.parametrize(
    ("covered", "offset", "apart"), [(4, 0.45, False), (4, 0.55, True), (2, 0.0, True), (3, 0.0, False)]
)
def test_a_ligand_is_left_in_the_pocket_if_most_of_its_atoms_are_there(
    covered: int, offset: float, apart: bool
) -> None:
    ligand = placed("CCCC", 0.0)
    places = ligand.GetConformer().GetPositions() + np.array([0.0, 0.0, offset])
    far = atom("CA", "ALA", 1, (0.0, 20.0, 0.0))
    protein = protein_of(far, *(atom("C1", "LIG", 9, tuple(x), record="HETATM") for x in places[:covered].tolist()))
    with nullcontext() if apart else pytest.raises(ValueError, match="remove the ligand"):
        protein.check_apart(ligand)
