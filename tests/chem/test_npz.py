"""Molecules in .npz files."""

from pathlib import Path

import numpy as np
import pytest

from moldiff.chem.files import read_molecules
from moldiff.chem.npz import read_npz

FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_flat_and_padded_layouts_hold_the_same(tmp_path: Path) -> None:
    numbers, x = np.array([8, 1, 1, 9, 1]), np.random.default_rng(0).normal(size=(5, 3))
    np.savez(tmp_path / "flat.npz", numbers=numbers, positions=x, num_atoms=[3, 0, 2])
    padded = np.zeros((3, 4, 3))
    padded[0, :3], padded[2, 1:3] = x[:3], x[3:]  # empty places may be anywhere
    np.savez(tmp_path / "padded.npz", numbers=[[8, 1, 1, 0], [0] * 4, [0, 9, 1, 0]], positions=padded)
    for name in ("flat", "padded"):
        first, nothing, last = read_npz(tmp_path / f"{name}.npz")
        assert nothing is None
        assert first is not None
        assert last is not None
        assert first.atomic_numbers.tolist() == [8, 1, 1]
        assert np.array_equal(last.positions, x[3:])
        assert last.bond_orders is None


@pytest.mark.parametrize("bonds", ["rdkit", "edm"])
def test_bonds_are_found_in_samples_of_gschnet(bonds) -> None:
    mols = read_molecules(FIXTURES / "gschnet_500.npz", bonds)
    assert len(mols) == 500
    assert sum(mol is not None and mol.GetNumBonds() >= mol.GetNumAtoms() - 1 for mol in mols) > 380


def test_both_ways_to_find_bonds_differ_where_a_bond_is_stretched(tmp_path: Path) -> None:
    """Formaldehyde with a C=O bond of 1.27 Å: too long for a double bond of EDM's table."""
    x = [[0, 0, 0], [1.27, 0, 0], [-0.55, 0.95, 0], [-0.55, -0.95, 0]]
    np.savez(tmp_path / "a.npz", numbers=[6, 8, 1, 1], positions=x, num_atoms=[4])
    for bonds, order in (("rdkit", 2.0), ("edm", 1.0)):
        (mol,) = read_molecules(tmp_path / "a.npz", bonds)  # type: ignore[arg-type]
        assert mol is not None
        assert mol.GetBondBetweenAtoms(0, 1).GetBondTypeAsDouble() == order


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"positions": np.zeros((2, 3))}, "expected `positions` and `numbers`"),
        (
            {"numbers": [1, 1], "positions": np.zeros((3, 3))},
            r"numbers of shape \(2,\) and positions of shape \(3, 3\)",
        ),
        ({"numbers": [1, 1], "positions": np.zeros((2, 3))}, "expected `num_atoms`"),
        ({"numbers": [1, 1], "positions": np.zeros((2, 3)), "num_atoms": [3]}, "add up to 3"),
        ({"numbers": [1, 1], "positions": np.zeros((2, 3)), "num_atoms": [-1, 3]}, "add up to 2; expected the sizes"),
        ({"numbers": [1, 1], "positions": np.zeros((2, 3)), "num_atoms": [[2]]}, r"of shape \(1, 1\)"),
        ({"numbers": [1, 0], "positions": np.zeros((2, 3)), "num_atoms": [2]}, "with 0 among them"),
        ({"numbers": [1, -1], "positions": np.zeros((2, 3)), "num_atoms": [2]}, "from -1 to 1"),
        ({"numbers": [1, 119], "positions": np.zeros((2, 3)), "num_atoms": [2]}, "from 1 to 119"),
        ({"numbers": [1, 1.5], "positions": np.zeros((2, 3)), "num_atoms": [2]}, "numbers of the kind float64"),
        ({"numbers": [1, 1], "positions": np.full((2, 3), np.inf), "num_atoms": [2]}, "no finite numbers"),
        ({"numbers": [1, 200], "positions": np.zeros((2, 3)), "num_atoms": [2]}, "from 1 to 200"),
        ({"numbers": [{}, {}], "positions": np.zeros((2, 3)), "num_atoms": [2]}, r"not an \.npz file of plain arrays"),
    ],
)
def test_errors(arrays: dict, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{name: np.asarray(value) for name, value in arrays.items()})
    with pytest.raises(ValueError, match=message):
        read_molecules(tmp_path / "a.npz")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("C 0 0 0")
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        read_molecules(tmp_path / "a.npz")
