"""Open Babel, which others wrote, reads our files as we do, and finds the bonds that we find."""

import os
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem  # before Open Babel: some of its builds crash RDKit if they are loaded first

from moldiff.chem import MoleculeArrays, MoleculeWriter, edm_bond_orders, pair_indices, perceive_bonds, read_molecules
from moldiff.chem.arrays import from_mol, to_mol
from moldiff.metrics import strict_verdict

openbabel = pytest.importorskip("openbabel.openbabel", reason="openbabel-wheel is not installed")
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
Bonds = dict[tuple[int, int], int]


@pytest.fixture(scope="module")
def molecules() -> list[MoleculeArrays]:
    """QM9's own, with their true bonds."""
    return [from_mol(mol) for mol in read_molecules(FIXTURES / "qm9_200.sdf") if mol is not None]


def bonds_of(arrays: MoleculeArrays) -> Bonds:
    """(larger, smaller atom) -> bond order."""
    assert arrays.bond_orders is not None
    i, j = pair_indices(len(arrays))
    return {(int(i[p]), int(j[p])): int(arrays.bond_orders[p]) for p in np.flatnonzero(arrays.bond_orders)}


def of_open_babel(mol: openbabel.OBMol) -> MoleculeArrays:
    """Elements, charges, coordinates and bonds as Open Babel has them."""
    atoms = list(openbabel.OBMolAtomIter(mol))
    orders = np.zeros((len(atoms), len(atoms)), dtype=np.int8)
    for bond in openbabel.OBMolBondIter(mol):
        ends = bond.GetBeginAtomIdx() - 1, bond.GetEndAtomIdx() - 1
        orders[max(ends), min(ends)] = bond.GetBondOrder()
    return MoleculeArrays(
        np.array([atom.GetAtomicNum() for atom in atoms]),
        np.array([(atom.GetX(), atom.GetY(), atom.GetZ()) for atom in atoms]),
        np.array([atom.GetFormalCharge() for atom in atoms]),
        orders[pair_indices(len(atoms))],
    )


def with_bonds_of_open_babel(arrays: MoleculeArrays) -> MoleculeArrays:
    """Bonds from elements and coordinates alone."""
    mol = openbabel.OBMol()
    mol.BeginModify()
    for number, (x, y, z) in zip(arrays.atomic_numbers.tolist(), arrays.positions.tolist(), strict=True):
        atom = mol.NewAtom()
        atom.SetAtomicNum(number)
        atom.SetVector(x, y, z)
    mol.EndModify()
    mol.ConnectTheDots()
    mol.PerceiveBondOrders()
    return of_open_babel(mol)


def test_it_reads_our_sdf_as_it_was_meant(molecules: list[MoleculeArrays], tmp_path: Path) -> None:
    path = tmp_path / "ours.sdf"
    with MoleculeWriter(path) as writer:
        for arrays in molecules:
            writer.write(to_mol(arrays))
    conversion = openbabel.OBConversion()
    conversion.SetInFormat("sdf")
    mol, read = openbabel.OBMol(), []
    going = conversion.ReadFile(mol, os.fspath(path))
    while going:
        read.append(of_open_babel(mol))
        mol = openbabel.OBMol()
        going = conversion.Read(mol)
    assert len(read) == len(molecules) == 200
    for theirs, ours in zip(read, molecules, strict=True):
        assert theirs.atomic_numbers.tolist() == ours.atomic_numbers.tolist()
        assert theirs.charges.tolist() == ours.charges.tolist()
        assert np.abs(theirs.positions - ours.positions).max() < 1e-4  # an SDF file has four decimals
        assert bonds_of(theirs) == bonds_of(ours)


def test_bonds_from_coordinates(molecules: list[MoleculeArrays]) -> None:
    """Of 200 molecules, all bonds and their orders as in QM9 (another Kekulé form counts as wrong)."""
    right = {"ours": 0, "Open Babel": 0, "EDM's table": 0}
    for arrays in molecules:
        numbers, positions, true = arrays.atomic_numbers, arrays.positions, bonds_of(arrays)
        perceived = perceive_bonds(numbers, positions)
        assert perceived is not None
        ours, theirs = bonds_of(from_mol(perceived)), bonds_of(with_bonds_of_open_babel(arrays))
        i, j = pair_indices(len(numbers))
        orders = edm_bond_orders(numbers, positions)
        table = {(int(i[p]), int(j[p])): int(orders[p]) for p in np.flatnonzero(orders)}
        assert ours.keys() == theirs.keys() == true.keys()
        for name, found in zip(right, (ours, theirs, table), strict=True):
            right[name] += found == true
    assert right == pytest.approx({"ours": 199, "Open Babel": 190, "EDM's table": 186}, abs=2)


def test_validity_of_generated_molecules() -> None:
    """G-SchNet's 500: what is valid with Open Babel's bonds is valid with ours, and is the same molecule."""
    valid = {"ours": 0, "Open Babel": 0}
    for mol in read_molecules(FIXTURES / "gschnet_500.npz"):
        assert isinstance(mol, Chem.Mol)
        ours = strict_verdict(mol)
        theirs = strict_verdict(to_mol(with_bonds_of_open_babel(from_mol(mol))))
        valid["ours"] += ours.smiles is not None
        valid["Open Babel"] += theirs.smiles is not None
        if theirs.smiles is not None:
            assert theirs.smiles == ours.smiles
    assert valid == pytest.approx({"ours": 397, "Open Babel": 331}, abs=3)
