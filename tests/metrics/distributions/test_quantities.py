"""Known lengths, angles, torsions and categories of known molecules."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.metrics.distributions.quantities import QUANTITIES, count_quantities


def centre(name: str, place: int) -> float:
    """The middle of a bin."""
    quantity = QUANTITIES[name]
    assert quantity.width is not None
    return quantity.low + (place + 0.5) * quantity.width


def values(mol: Chem.Mol, name: str, kind: str) -> list[float]:
    counts = count_quantities(mol)[name]
    return sorted(centre(name, k) for (found, k), n in counts.items() if found == kind for _ in range(n))


def test_water() -> None:
    half = np.radians(104.5 / 2)
    x = 0.96 * np.array([[0, 0, 0], [np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]])
    water = to_mol(MoleculeArrays(np.array([8, 1, 1]), x, np.zeros(3, int), np.array([1, 1, 0], np.int8)))
    assert values(water, "bond lengths", "H-O") == pytest.approx([0.96, 0.96], abs=0.001)
    assert values(water, "angles", "H-O-H") == pytest.approx([104.5], abs=0.5)
    found = count_quantities(water)
    assert found["sizes"] == {("atoms", 3): 1}
    assert found["atom types"] == found["charges"] == {("H", 0): 2, ("O", 0): 1}
    assert found["valences"] == {("H1", 0): 2, ("O2", 0): 1}
    assert found["bond types"] == {("H-O", 0): 2}
    assert found["ring sizes"] == {}
    assert "torsions" not in found


def test_agrees_with_rdkit(embed) -> None:
    mol = embed("CC(=O)NC")
    conformer, n = mol.GetConformer(), mol.GetNumAtoms()
    symbols = [atom.GetSymbol() for atom in mol.GetAtoms()]
    bonded = [[b.GetIdx() for b in atom.GetNeighbors()] for atom in mol.GetAtoms()]
    angles, torsions = [], []
    for j in range(n):
        for i in bonded[j]:
            for k in bonded[j]:
                if i < k and sorted(symbols[a] for a in (i, k)) == ["C", "O"] and symbols[j] == "C":
                    angles.append(rdMolTransforms.GetAngleDeg(conformer, i, j, k))
                for m in bonded[k]:
                    names = [symbols[a] for a in (i, j, k, m)]
                    if len({i, j, k, m}) == 4 and names == ["O", "C", "N", "C"]:
                        torsions.append(abs(rdMolTransforms.GetDihedralDeg(conformer, i, j, k, m)))
    assert values(mol, "angles", "C-C-O") == pytest.approx(sorted(angles), abs=0.51)
    assert values(mol, "torsions", "C-N-C-O") == pytest.approx(sorted(torsions), abs=1.01)
    assert torsions


def test_a_rotation_and_a_mirror_change_nothing_that_a_bin_can_see(embed) -> None:
    mol = embed("OCC(F)N")
    mirrored = Chem.Mol(mol)
    x = mol.GetConformer().GetPositions()
    mirrored.GetConformer().SetPositions(np.ascontiguousarray(x[:, [1, 2, 0]] * [-1.0, 1.0, 1.0]))
    one, other = count_quantities(mol), count_quantities(mirrored)
    assert {name: sum(counts.values()) for name, counts in one.items()} == {
        name: sum(counts.values()) for name, counts in other.items()
    }
    for kind in {kind for kind, _ in one["torsions"]}:
        assert values(mol, "torsions", kind) == pytest.approx(values(mirrored, "torsions", kind), abs=1.01)


def test_rings_charges_and_aromatic_bonds() -> None:
    pyridinium = Chem.AddHs(Chem.MolFromSmiles("C1CC1c1cccc[nH+]1"))
    found = count_quantities(pyridinium)
    assert found["ring sizes"] == {("3", 0): 1, ("6", 0): 1}
    assert found["charges"][("N+1", 0)] == 1
    assert found["valences"][("N4", 0)] == 1
    assert sum(n for (kind, _), n in found["bond types"].items() if "=" in kind) == 3
    assert not any("~" in kind for kind, _ in found["bond types"])
    assert "bond lengths" not in found  # no coordinates


def test_torsions_about_a_straight_angle_are_left_out(embed) -> None:
    assert not any(kind == "C-C-C-H" for kind, _ in count_quantities(embed("CC#CC")).get("torsions", {}))


def test_atoms_without_bonds_count_as_atoms_only() -> None:
    cloud = to_mol(
        MoleculeArrays(np.array([6, 6]), np.array([[0, 0, 0], [9.0, 0, 0]]), np.zeros(2, int), np.zeros(1, np.int8))
    )
    assert set(count_quantities(cloud)) == {"sizes", "atom types", "charges"}


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("bond lengths", 0.5, 4.0), ("angles", 0.0, 180.5), ("torsions", 0.0, 181.0), ("sizes", 0.0, 1000.0)],
)
def test_bins_cover_their_range(name: str, low: float, high: float) -> None:
    """Values outside fall into the first or the last one; a straight angle has one of its own."""
    quantity = QUANTITIES[name]
    assert quantity.width is not None
    edges = quantity.low + quantity.width * np.arange(quantity.num_bins + 1)
    assert (edges[0], edges[-1]) == pytest.approx((low, high))
    middles = (edges[1:] + edges[:-1]) / 2
    assert quantity.bins(middles).tolist() == list(range(quantity.num_bins))
    assert quantity.bins(np.array([low - 9.0, low, high, 1e9])).tolist() == [0, 0, *[quantity.num_bins - 1] * 2]
    if quantity.unit == "°":
        assert np.diff(quantity.bins(np.array([180.0 - 1e-6, 180.0]))).tolist() == [1]


def test_the_bins_are_as_fine_as_their_quantity() -> None:
    """0.001 Å, half a degree, a degree, an atom."""
    widths = {name: q.width for name, q in QUANTITIES.items() if q.width is not None}
    assert widths == {"bond lengths": 0.001, "angles": 0.5, "torsions": 1.0, "sizes": 1.0}


def test_large_molecules_are_in_the_last_bin_of_sizes() -> None:
    for count, place in ((998, 998), (999, 999), (1000, 999), (1200, 999)):
        mol = Chem.RWMol()
        for _ in range(count):
            mol.AddAtom(Chem.Atom(2))
        assert count_quantities(mol)["sizes"] == {("atoms", place): 1}


def test_a_single_atom_has_a_valence_of_nothing() -> None:
    atom = Chem.MolFromSmiles("[He]")
    assert count_quantities(atom)["valences"] == {("He0", 0): 1}
    assert count_quantities(atom)["bond types"] == count_quantities(atom)["ring sizes"] == {}


def test_kinds_of_bonds_are_named_the_same_from_both_ends() -> None:
    for smiles, kinds in (
        ("[H]C#N", {"C-H": 1, "C#N": 1}),
        ("N#C[H]", {"C-H": 1, "C#N": 1}),
        ("O=CN", {"C=O": 1, "C-N": 1}),
        ("c1cccc1", {"C~C": 5}),  # without a Kekulé form
    ):
        found = count_quantities(Chem.MolFromSmiles(smiles, sanitize=False))
        assert found["bond types"] == {(kind, 0): n for kind, n in kinds.items()}
    strange = Chem.RWMol(Chem.MolFromSmiles("CC"))
    strange.GetBondWithIdx(0).SetBondType(Chem.BondType.QUADRUPLE)
    assert count_quantities(strange)["bond types"] == {("C?C", 0): 1}


def test_every_angle_and_torsion_is_counted_once(embed) -> None:
    """Of an atom with d neighbours d (d - 1) / 2 angles; about a bond (d - 1) (e - 1) torsions, none back to itself."""
    for smiles, closed in (("CCO", 0), ("CC(C)(C)C", 0), ("C1CC1", 3), ("C1CCC1", 0)):
        mol = embed(smiles)
        found, degrees = count_quantities(mol), [atom.GetDegree() for atom in mol.GetAtoms()]
        pairs = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()]
        assert sum(found["bond lengths"].values()) == len(pairs)
        assert sum(found["angles"].values()) == sum(d * (d - 1) // 2 for d in degrees)
        torsions = sum((degrees[a] - 1) * (degrees[b] - 1) for a, b in pairs) - closed
        assert sum(found["torsions"].values()) == torsions


@pytest.mark.parametrize(("angle", "counted"), [(4.5, 0), (5.5, 1), (90.0, 1), (174.5, 1), (175.5, 0)])
def test_torsions_end_at_angles_of_5_degrees_from_straight(angle: float, counted: int) -> None:
    """F-C-N-O, of which the angle at nitrogen changes; its torsion is 60 degrees."""
    phi, theta = np.radians(60), np.radians(angle)
    x = np.array([
        [0.0, 1.3, 0.0],
        [0.0, 0.0, 0.0],
        [1.4, 0.0, 0.0],
        [1.4 - 1.2 * np.cos(theta), 1.2 * np.sin(theta) * np.cos(phi), 1.2 * np.sin(theta) * np.sin(phi)],
    ])  # fmt: skip
    mol = Chem.MolFromSmiles("FCNO")
    conformer = Chem.Conformer(4)
    for places, kind in ((x, "F-C-N-O"), (x * [1.0, 1.0, -1.0], "F-C-N-O")):
        conformer.SetPositions(places)
        mol.RemoveAllConformers()
        mol.AddConformer(conformer)
        found = count_quantities(mol)
        assert sum(found["torsions"].values()) == counted
        if counted:
            assert values(mol, "torsions", kind) == pytest.approx([60.0], abs=0.51)
        assert values(mol, "angles", "C-N-O") == pytest.approx([angle], abs=0.26)


def test_coordinates_that_are_no_numbers_are_none(embed) -> None:
    mol = embed("CCO")
    mol.GetConformer().SetAtomPosition(0, (np.inf, 0.0, 0.0))
    assert set(count_quantities(mol)) == {"sizes", "atom types", "charges", "bond types", "valences", "ring sizes"}
