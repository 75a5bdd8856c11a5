"""The fingerprint of interactions against what is known of AmpC with STC (Powers et al. 2002), and its laws."""

import numpy as np
import pytest
from rdkit import Chem

from moldiff.metrics.pocket import Interactions, interactions, max_similarity, sanitized
from moldiff.metrics.pocket.interactions import _plane


def test_known_interactions(protein, ligand):
    pairs = interactions(sanitized(ligand), protein).pairs
    assert {("A:TYR221", "aromatic")} <= pairs
    assert {("A:ASN152", "acceptor"), ("A:SER64", "acceptor")} <= pairs
    assert not any(kind == "cation" for _, kind in pairs)  # the ligand has no basic nitrogen


def test_hydrogens_and_charges_do_not_matter(protein, ligand):
    mol = sanitized(ligand)
    expected = interactions(mol, protein)
    assert interactions(Chem.AddHs(mol, addCoords=True), protein) == expected
    acid = mol.GetSubstructMatch(Chem.MolFromSmarts("[OH]C=O"))[0]
    charged = Chem.Mol(mol)
    charged.GetAtomWithIdx(acid).SetFormalCharge(-1)
    charged.GetAtomWithIdx(acid).SetNoImplicit(True)
    Chem.SanitizeMol(charged)
    anions = {pair for pair in expected.pairs if pair[1] == "anion"}
    assert {pair for pair in interactions(charged, protein).pairs if pair[1] == "anion"} == anions


def test_rotating_both_changes_nothing(protein, ligand):
    mol = sanitized(ligand)
    rotation = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    turned = Chem.Mol(mol)
    turned.GetConformer().SetPositions(mol.GetConformer().GetPositions() @ rotation)
    other = Chem.Mol(protein.mol)
    other.GetConformer().SetPositions(protein.positions @ rotation)
    from moldiff.metrics.pocket import protein_from_mol

    assert interactions(turned, protein_from_mol(other)) == interactions(mol, protein)


def test_far_away_there_are_none(protein, moved):
    assert interactions(sanitized(moved(1000.0, 0.0, 0.0)), protein).pairs == frozenset()


@pytest.mark.parametrize(
    ("smiles", "kinds"),
    [
        ("CCN", {"donor", "cation"}),
        ("CC(N)=O", {"donor", "acceptor"}),
        ("CC(O)=O", {"donor", "acceptor", "anion"}),
        ("NC(N)=N", {"donor", "cation"}),
        ("c1ccncc1", {"acceptor"}),
        ("CS(=O)(=O)NC", {"donor", "acceptor"}),
        ("Nc1ccccc1", {"donor"}),
        ("COC", {"acceptor"}),
    ],
)
def test_groups(smiles, kinds):
    """Polar kinds of atoms that a molecule has."""
    from moldiff.metrics.pocket.interactions import _PATTERNS

    mol = Chem.MolFromSmiles(smiles)
    found = {kind for kind, pattern in _PATTERNS.items() if mol.HasSubstructMatch(pattern)}
    assert found - {"hydrophobic"} - ({"acceptor"} if "cation" in kinds else set()) == kinds


def test_tanimoto():
    a, b = ("A:ASP1", "donor"), ("A:LEU2", "hydrophobic")
    both, one, none = Interactions(frozenset({a, b})), Interactions(frozenset({a})), Interactions(frozenset())
    assert both.similarity(both) == none.similarity(none) == 1.0
    assert both.similarity(one) == one.similarity(both) == 0.5
    assert one.similarity(none) == 0.0


def test_similarity_to_known_ligands():
    aspirin, ethane = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O"), Chem.MolFromSmiles("CC")
    assert max_similarity(aspirin, [ethane, Chem.AddHs(aspirin)]) == 1.0
    assert max_similarity(aspirin, [ethane]) < 0.2
    with pytest.raises(ValueError, match="no known molecules"):
        max_similarity(aspirin, [])


@pytest.mark.parametrize(
    ("distance", "angle", "stacked"),
    [
        (5.0, 0, True),
        (5.4, 25, True),
        (5.6, 0, False),
        (5.4, 40, False),
        (6.4, 90, True),
        (6.4, 55, True),
        (6.6, 90, False),
    ],
)
def test_rings_are_stacked_face_to_face_up_to_5_5_and_edge_to_face_up_to_6_5_angstrom(
    protein, distance, angle, stacked
):
    """Benzene over the ring of a tyrosine, turned about an axis in its own plane."""
    ring = [k for k, (r, a) in enumerate(zip(protein.residues, protein.atom_names, strict=True)) if r == "A:221"]
    atoms = {protein.atom_names[k]: protein.positions[k] for k in ring}
    centre, normal = _plane(np.array([atoms[name] for name in ("CG", "CD1", "CD2", "CE1", "CE2", "CZ")]))
    across = (atoms["CG"] - centre) / np.linalg.norm(atoms["CG"] - centre)
    other = np.cos(np.radians(angle)) * np.cross(normal, across) + np.sin(np.radians(angle)) * normal
    turns = np.radians(60) * np.arange(6)[:, None]
    mol = Chem.MolFromSmiles("c1ccccc1")
    conformer = Chem.Conformer(6)
    conformer.SetPositions(centre + distance * normal + 1.39 * (np.cos(turns) * across + np.sin(turns) * other))
    mol.AddConformer(conformer)
    assert (("A:TYR221", "aromatic") in interactions(mol, protein).pairs) is stacked


def test_planes_hold_their_points():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    points = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [2.0, 1.0, 0.0]]) @ turn + 7.0
    centre, normal = _plane(points)
    np.testing.assert_allclose(centre, points.mean(0))
    np.testing.assert_allclose((points - centre) @ normal, 0.0, atol=1e-12)
    assert np.linalg.norm(normal) == pytest.approx(1.0)
