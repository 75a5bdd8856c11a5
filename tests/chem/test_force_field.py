"""Relaxation of single molecules, free and in a pocket."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolTransforms
from rdkit.Geometry import Point3D
from scipy.spatial.transform import Rotation

from moldiff.chem.files import read_molecules
from moldiff.chem.force_field import relax
from moldiff.chem.pocket import Pocket
from moldiff.chem.protein_files import read_pocket


def conformer(smiles: str, hydrogens: bool = True, spread: float = 0.0) -> Chem.Mol:
    """A molecule with coordinates that are off by so many Å at random."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=7) == 0
    if not hydrogens:
        mol = Chem.RemoveHs(mol)
    positions = mol.GetConformer().GetPositions()
    mol.GetConformer().SetPositions(positions + spread * np.random.default_rng(0).normal(size=positions.shape))
    mol.SetProp("_Name", smiles)
    mol.SetProp("seed", "5")
    return mol


def moved(mol: Chem.Mol, rotation: Rotation, shift: np.ndarray) -> Chem.Mol:
    copy = Chem.Mol(mol)
    copy.GetConformer().SetPositions(rotation.apply(mol.GetConformer().GetPositions()) + shift)
    return copy


def positions(mol: Chem.Mol) -> np.ndarray:
    return np.asarray(mol.GetConformer().GetPositions())


@pytest.fixture(scope="module")
def site(root: Path) -> tuple[Chem.Mol, Pocket]:
    """A ligand and its pocket."""
    folder = root / "tests" / "fixtures" / "1l2s"
    (ligand,) = read_molecules(folder / "ligand.sdf")
    assert ligand is not None
    return ligand, read_pocket(folder / "pocket.pdb")


@pytest.mark.parametrize("hydrogens", [True, False])
def test_bonds_get_their_lengths_and_nothing_else_changes(hydrogens: bool) -> None:
    rough = conformer("CCOC", hydrogens, spread=0.1)
    before = positions(rough).copy()
    done = relax(rough)
    lengths = [rdMolTransforms.GetBondLength(done.mol.GetConformer(), k, k + 1) for k in range(3)]
    assert lengths == pytest.approx([1.52, 1.42, 1.42], abs=0.02)
    assert np.array_equal(positions(rough), before)
    assert Chem.MolToMolBlock(done.mol).split("\n")[:1] == ["CCOC"]
    assert done.mol.GetPropsAsDict(autoConvertStrings=False) == {"seed": "5"}
    assert [a.GetAtomicNum() for a in done.mol.GetAtoms()] == [a.GetAtomicNum() for a in rough.GetAtoms()]
    assert [b.GetBondType() for b in done.mol.GetBonds()] == [b.GetBondType() for b in rough.GetBonds()]
    assert done.rmsd == pytest.approx(np.sqrt(((positions(done.mol) - before) ** 2).sum(1).mean()))


def test_what_is_relaxed_stays(site: tuple[Chem.Mol, Pocket]) -> None:
    once = relax(conformer("c1ccccc1CO", spread=0.1)).mol
    assert relax(once).rmsd < 0.02
    ligand, pocket = site
    assert relax(relax(ligand, pocket).mol, pocket).rmsd < relax(ligand, pocket).rmsd


def test_it_turns_with_the_frame(site: tuple[Chem.Mol, Pocket]) -> None:
    ligand, pocket = site
    rotation, shift = Rotation.random(rng=np.random.default_rng(1)), np.array([40.0, -7.0, 3.0])
    turned = Pocket(
        rotation.apply(pocket.positions) + shift,
        pocket.atomic_numbers,
        pocket.atom_names,
        pocket.residue_names,
        pocket.residue_index,
        pocket.residue_labels,
    )
    here, there = relax(ligand, pocket).mol, relax(moved(ligand, rotation, shift), turned).mol
    np.testing.assert_allclose(positions(there), rotation.apply(positions(here)) + shift, atol=0.03)


def test_in_a_pocket_clashes_go_and_the_place_stays(site: tuple[Chem.Mol, Pocket]) -> None:
    ligand, pocket = site

    def closest(mol: Chem.Mol) -> float:
        return float(np.linalg.norm(positions(mol)[:, None] - pocket.positions[None], axis=-1).min())

    away = pocket.positions.mean(0) - positions(ligand).mean(0)
    for step in np.linspace(0, 3, 31):  # push it into the wall of the pocket until it clashes
        pushed = moved(ligand, Rotation.identity(), step * away / np.linalg.norm(away))
        if closest(pushed) < 2.2:
            break
    assert closest(pushed) < 2.2
    done = relax(pushed, pocket)
    assert closest(done.mol) > closest(pushed) + 0.2
    assert done.rmsd < 1
    assert np.linalg.norm(positions(done.mol) - positions(pushed), axis=1).max() < 2.5


def test_boron_which_mmff_does_not_know_takes_uff() -> None:
    done = relax(conformer("OB(O)c1ccccc1", spread=0.1))
    assert rdMolTransforms.GetBondLength(done.mol.GetConformer(), 1, 3) == pytest.approx(1.56, abs=0.08)


def test_what_cannot_be_relaxed_says_why(site: tuple[Chem.Mol, Pocket]) -> None:
    with pytest.raises(ValueError, match="no coordinates in 3D"):
        relax(Chem.MolFromSmiles("CC"))
    five = Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False)
    five.AddConformer(Chem.Conformer(6))
    five.GetConformer().Set3D(True)
    with pytest.raises(ValueError, match="RDKit does not sanitize it"):
        relax(five)
    with pytest.raises(ValueError, match="neither MMFF94s nor UFF"):
        relax(conformer("C*"), site[1])
    with pytest.raises(ValueError, match="its atoms lie in one place"):
        relax(moved(conformer("CCO"), Rotation.identity(), -positions(conformer("CCO"))))
    for pocket in (None, site[1]):
        broken = conformer("CCO")
        broken.GetConformer().SetAtomPosition(0, Point3D(float("nan"), 0.0, 0.0))
        with pytest.raises(ValueError, match="its coordinates are no finite numbers"):
            relax(broken, pocket)
