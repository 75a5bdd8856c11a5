"""Drawings lie in their frame and mark what is at fault; the viewer gets what it can show."""

import re

import numpy as np
import pytest
from rdkit import Chem

from moldiff.metrics.html.drawing import coordinates, drawing
from moldiff.metrics.html.entries import Entry
from moldiff.metrics.strict import Cause, StrictVerdict, strict_verdict


def points(svg: str) -> np.ndarray:
    """(N, 2): all points of the paths, in px."""
    numbers = [re.findall(r"-?[\d.]+", path) for path in re.findall(r" d='([^']*)'", svg)]
    return np.array([float(n) for path in numbers for n in path]).reshape(-1, 2)


@pytest.mark.parametrize("smiles", ["C", "CCO", "CCCCCCCCCCCCCCCC", "c1ccc2c(c1)c1ccccc1n2CC(=O)NC1CCCCC1"])
def test_drawings_lie_in_their_frame(smiles: str, embed) -> None:
    """With a margin, however large the molecule is; the frame is 4 : 3, as on the page."""
    svg = drawing(embed(smiles), valid=True)
    left, top, width, height = map(float, re.findall(r'viewBox="(.*?)"', svg)[0].split())
    assert (left, top) == (0, 0)
    assert width / height == pytest.approx(4 / 3, rel=1e-3)
    xy = points(svg)
    margin = 0.05 * np.array([width, height])
    assert (xy > margin).all()
    assert (xy < [width, height] - margin).all()
    assert "<rect" not in svg  # the page shines through
    assert "nan" not in svg


def test_small_molecules_have_bonds_of_one_length() -> None:
    for smiles in ("CC", "CCC"):
        (start, end) = points(drawing(Chem.AddHs(Chem.MolFromSmiles(smiles)), valid=True))[:2]
        assert np.linalg.norm(start - end) == pytest.approx(1.5 * 26, abs=0.2)  # 26 px for an Å


def test_atoms_at_fault_are_marked_in_a_light_red() -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    plain, marked = drawing(mol, valid=False), drawing(mol, valid=False, faults=(0, 2))
    assert "<ellipse" not in plain
    colours = re.findall(r"<ellipse [^>]*fill:#([0-9A-F]{6})[;']", marked)
    assert len(colours) == 2
    red, green, blue = (int(colours[0][k : k + 2], 16) for k in (0, 2, 4))
    assert 255 > red > 200 > green > blue > 100


def test_mirror_images_are_drawn_with_other_wedges(embed) -> None:
    mol = embed("C[C@H](N)C#N")
    mirrored = Chem.Mol(mol)
    mirrored.GetConformer().SetPositions(mol.GetConformer().GetPositions() * [1.0, 1.0, -1.0])
    assert drawing(mol, valid=True) != drawing(mirrored, valid=True)
    flat = Chem.AddHs(Chem.MolFromSmiles("CC(N)C#N"))
    assert drawing(flat, valid=True) not in (drawing(mol, valid=True), drawing(mirrored, valid=True))


def test_what_cannot_be_drawn_is_empty() -> None:
    five = Chem.MolFromSmiles("[H]C([H])([H])([H])[H]", sanitize=False)
    assert drawing(five, valid=True) == ""
    assert "<svg" in drawing(five, valid=False)


@pytest.mark.parametrize(("far", "seen"), [(9999.5, True), (1e4, True), (10_000.5, False), (np.nan, False)])
def test_coordinates_that_can_be_seen(far: float, seen: bool, embed) -> None:
    mol = embed("C")
    mol.GetConformer().SetAtomPosition(2, (0.0, -far, 0.0))
    assert (coordinates(mol) is not None) is seen


def test_coordinates_are_centred_and_keep_all_distances(embed) -> None:
    mol = embed("CC(=O)NC#N")
    data = coordinates(mol)
    assert data is not None
    x = np.array(data["x"]).reshape(-1, 3)
    assert x.mean(0) == pytest.approx(np.zeros(3), abs=1e-3)
    given = mol.GetConformer().GetPositions()
    np.testing.assert_allclose(
        np.linalg.norm(x[:, None] - x, axis=-1), np.linalg.norm(given[:, None] - given, axis=-1), atol=2e-3
    )
    assert (data["x"] == np.round(data["x"], 3)).all()
    assert data["e"] == [atom.GetSymbol() for atom in mol.GetAtoms()]
    orders = np.array(data["b"]).reshape(-1, 3)
    assert sorted(orders[:, 2].tolist())[-2:] == [2, 3]
    assert orders[:, :2].tolist() == [[b.GetBeginAtomIdx(), b.GetEndAtomIdx()] for b in mol.GetBonds()]
    assert coordinates(Chem.MolFromSmiles("C")) is None
    assert coordinates(Chem.Mol()) is None


def test_a_bond_without_an_order_is_drawn_as_one(embed) -> None:
    mol = embed("CC")
    mol.GetBondWithIdx(0).SetBondType(Chem.BondType.ZERO)
    data = coordinates(mol)
    assert data is not None
    assert data["b"][2] == 1


def entry(smiles: str) -> Entry:
    mol = Chem.MolFromSmiles(smiles, sanitize=False)
    return Entry(1, mol, mol, strict_verdict(mol))


@pytest.mark.parametrize(
    ("smiles", "reason", "atoms"),
    [
        ("[H]O", "bonds are missing: O2 has 1 bond, expected 2", (1,)),
        ("[CH2][CH2]", "bonds are missing: C1 has 1 bond, expected 4; C2 has 1 bond, expected 4", (0, 1)),
        ("O[Fe]", "wrong valence: Fe2 has no valence that the rule knows", (0, 1)),
        ("[H]O[H].[H][H]", "in pieces: H2O + H2", (3, 4)),
        ("[H][H].[H]O[H]", "in pieces: H2O + H2", (0, 1)),
        ("[H].[H]", "no bonds", ()),
    ],
)
def test_reasons_name_the_atoms(smiles: str, reason: str, atoms: tuple[int, ...]) -> None:
    found = entry(smiles)
    assert found.reason() == reason
    assert found.faulty_atoms() == atoms
    assert not found.valid


@pytest.mark.parametrize(("count", "more"), [(3, False), (4, True)])
def test_three_atoms_are_named(count: int, more: bool) -> None:
    chain = entry("C" * count)  # no hydrogens
    assert chain.reason().count(" has ") == 3
    assert chain.reason().endswith("; ...") is more
    assert len(chain.faulty_atoms()) == count


def test_nothing_has_no_atoms_at_fault() -> None:
    nothing = Entry(1, None, None, StrictVerdict(Cause.MISSING))
    assert (nothing.faulty_atoms(), nothing.formula, nothing.title) == ((), "", "")
    assert nothing.reason().startswith("nothing there")
    ring = entry("[H]c1c([H])c([H])c([H])c1[H]")
    assert ring.reason().startswith("RDKit refuses it: ")
    assert "kekulize" in ring.reason()
    whole = entry("[H]O[H]")
    assert (whole.reason(), whole.faulty_atoms(), whole.formula, whole.valid) == ("", (), "H2O", True)
