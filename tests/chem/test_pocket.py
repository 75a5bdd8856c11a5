import numpy as np
import pytest

from moldiff.chem.arrays import from_mol
from moldiff.chem.files import read_molecules
from moldiff.chem.pocket import Pocket, select_pocket
from moldiff.chem.protein_files import read_pocket
from moldiff.chem.residues import (
    ATOM_CLASSES,
    NUM_ATOM_CLASSES,
    RESIDUE_ATOMS,
    RESIDUES,
    atom_class,
    class_atomic_numbers,
    standard_atom,
    standard_residue,
)

NAMES = ("2ayw_ben", "4cik_xo3", "1tfq_998", "2gns_stl")


@pytest.fixture(params=NAMES)
def complex_(request, root):
    folder = root / "tests/fixtures/pockets/complexes" / request.param
    (mol,) = read_molecules(folder / "ligand.sdf")
    return read_pocket(folder / "pocket.pdb"), from_mol(mol, hydrogens=False)


def toy() -> Pocket:
    """Two residues: ALA with a side chain along y, GLY."""
    return Pocket(
        np.array([[0.0, 0, 0], [1, 0, 0], [1, 1.5, 0], [9, 0, 0], [10, 0, 0], [11, 0, 0]]),
        np.array([7, 6, 6, 7, 6, 6]),
        np.array(["N", "CA", "CB", "N", "CA", "C"]),
        np.array(["ALA"] * 3 + ["GLY"] * 3),
        np.array([0, 0, 0, 1, 1, 1]),
        ("A:1", "A:2B"),
    )


def test_residue_table():
    assert len(RESIDUES) == 20
    assert sum(len(atoms) - 1 for atoms in RESIDUE_ATOMS.values()) == 167
    assert len(set(ATOM_CLASSES)) == NUM_ATOM_CLASSES == 167 + 1 + 6
    assert [len(RESIDUE_ATOMS[name]) - 1 for name in ("GLY", "ALA", "HIS", "ARG", "TRP")] == [4, 5, 10, 11, 14]


def test_residue_table_is_that_of_rdkit():
    """The molecule that RDKit builds from a sequence has the same atoms, under the same names."""
    from rdkit import Chem

    letters = dict(zip(RESIDUES, "ARNDCQEGHILKMFPSTWYV", strict=True))
    for residue, letter in letters.items():
        mol = Chem.MolFromSequence(letter)
        names = {atom.GetPDBResidueInfo().GetName().strip(): atom.GetAtomicNum() for atom in mol.GetAtoms()}
        assert set(names) == set(RESIDUE_ATOMS[residue]), residue
        elements = {"C": 6, "N": 7, "O": 8, "S": 16}
        assert all(elements[name[0]] == number for name, number in names.items())


def test_classes_tell_atoms_apart():
    classes = [atom_class(r, a, 6) for r, atoms in RESIDUE_ATOMS.items() for a in atoms if a != "OXT"]
    assert classes == list(range(167))
    assert {atom_class(r, "OXT", 8) for r in RESIDUES} == {167}
    numbers = class_atomic_numbers()
    for residue, atoms in RESIDUE_ATOMS.items():
        assert [numbers[atom_class(residue, atom, 6)] for atom in atoms] == [
            standard_atom(residue, a)[1] for a in atoms
        ]
    assert numbers[167:] == (8, 6, 7, 8, 16, 15, 0)
    others = [atom_class("UNK", "Q", number) for number in (6, 7, 8, 16, 15, 34)]
    assert others == list(range(168, 174))
    assert atom_class("GLY", "CB", 6) == atom_class("UNK", "CA", 6) == 168


@pytest.mark.parametrize(
    ("name", "parent"),
    [("MSE", "MET"), ("SEP", "SER"), ("HID", "HIS"), ("CYX", "CYS"), ("HYP", "PRO"), ("UNK", "UNK"), ("ASX", "UNK")]
    + [(name, None) for name in ("HOH", "ZN", "ATP", "DA", "ACE", "NH2", "NAG")],
)
def test_parents(name, parent):
    assert standard_residue(name) == parent


def test_real_pockets_hold_standard_atoms(complex_):
    pocket, _ = complex_
    classes = pocket.atom_classes()
    for k in range(len(pocket)):
        assert ATOM_CLASSES[classes[k]] == (pocket.residue_names[k], pocket.atom_names[k])
    assert [RESIDUES[c] for c in pocket.residue_classes()] == [
        pocket.residue_names[pocket.residue_index == r][0] for r in range(pocket.num_residues)
    ]


def test_shared_rule_of_ten_angstrom(complex_):
    """The fixtures were cut with this rule by another program."""
    pocket, ligand = complex_
    assert select_pocket(pocket, ligand.positions, radius=10.0).residue_labels == pocket.residue_labels


@pytest.mark.parametrize("radius", [3.0, 4.5, 6.0, 8.0])
def test_selection_equals_brute_force(complex_, radius):
    pocket, ligand = complex_
    for points in (ligand.positions, ligand.positions.mean(0)):
        expected = []
        for residue, label in enumerate(pocket.residue_labels):
            atoms = pocket.positions[pocket.residue_index == residue]
            distances = np.linalg.norm(atoms[:, None] - np.atleast_2d(points)[None], axis=-1)
            if distances.min() <= radius:
                expected.append(label)
        if not expected:
            with pytest.raises(ValueError, match="No protein atom is within"):
                select_pocket(pocket, points, radius=radius)
            continue
        chosen = select_pocket(pocket, points, radius=radius)
        assert list(chosen.residue_labels) == expected
        for r, label in enumerate(chosen.residue_labels):  # whole residues, unchanged
            place = pocket.residue_labels.index(label)
            np.testing.assert_array_equal(
                chosen.positions[chosen.residue_index == r], pocket.positions[pocket.residue_index == place]
            )


def test_selection_by_name(complex_):
    pocket, _ = complex_
    labels = pocket.residue_labels
    chosen = select_pocket(pocket, residues=[labels[5], labels[2]])
    assert chosen.residue_labels == (labels[2], labels[5])
    assert set(chosen.residue_names) == set(pocket.residue_names[np.isin(pocket.residue_index, [2, 5])])


def test_directions():
    pocket = toy()
    np.testing.assert_array_equal(pocket.residue_positions(), [[1, 0, 0], [10, 0, 0]])
    np.testing.assert_array_equal(pocket.residue_directions(), [[0, 1.5, 0], [0, 0, 0]])
    whole = np.array([True, False, True, True, True, True])
    fields = {name: value[whole] for name, value in pocket.__dict__.items() if name != "residue_labels"}
    broken = Pocket(**fields, residue_labels=pocket.residue_labels)
    np.testing.assert_array_equal(broken.residue_positions()[0], [0.5, 0.75, 0])  # no Cα: mean of what is there
    np.testing.assert_array_equal(broken.residue_directions(), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"near": [0.0, 30.0, 0.0]}, r"within 10 Å: the nearest is 28\.5 Å away, in residue A:1\. .*same frame"),
        ({"near": [np.nan, 0.0, 0.0]}, "expected finite"),
        ({"near": np.zeros((0, 3))}, "expected finite"),
        ({"near": [0.0, 0.0]}, r"shape \(2,\)"),
        ({"near": [0.0, 0.0, 0.0], "radius": 0.0}, "radius of 0.0"),
        ({"residues": ["A:2"]}, "no residue 'A:2'.*such as A:2B"),
        ({"residues": ["17"]}, "no residue '17'.*such as A:1, A:2B"),
        ({"residues": []}, "empty list"),
        ({}, "either points"),
        ({"near": [0.0, 0.0, 0.0], "residues": ["A:1"]}, "either points"),
    ],
)
def test_selection_errors(options, message):
    with pytest.raises(ValueError, match=message):
        select_pocket(toy(), **options)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("positions", np.zeros((5, 3)), "atomic_numbers"),
        ("residue_index", np.array([0, 0, 0, 1, 0, 1]), "in order"),
        ("residue_index", np.array([0, 0, 0, 2, 2, 2]), "0 to 1"),
        ("residue_labels", ("A:1", "A:1"), "A:1 twice"),
    ],
)
def test_pockets_are_checked(field, value, message):
    with pytest.raises(ValueError, match=message):
        Pocket(**{**toy().__dict__, field: value})


def test_the_residue_that_comes_twice_is_named():
    fields = {"residue_index": np.array([0, 0, 1, 1, 2, 3]), "residue_labels": ("A:3", "A:1", "A:2", "A:1")}
    with pytest.raises(ValueError, match="got A:1 twice"):
        Pocket(**{**toy().__dict__, **fields})
