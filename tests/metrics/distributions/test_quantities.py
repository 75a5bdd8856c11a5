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
