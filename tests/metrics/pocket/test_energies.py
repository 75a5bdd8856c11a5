"""Energies of a pose in UFF: order, limits, and PoseBusters' own check of them."""

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff.metrics.pocket import PoseEnergies, pose_energies, sanitized
from moldiff.metrics.rdkit_log import open_log


@pytest.fixture(scope="module")
def relaxed() -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles("OCCc1ccccc1"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    AllChem.UFFOptimizeMolecule(mol, maxIters=2000)
    return Chem.RemoveHs(mol)


def bent(mol: Chem.Mol, distance: float) -> Chem.Mol:
    """With an atom of the ring moved by a distance in Å."""
    copy = Chem.Mol(mol)
    positions = copy.GetConformer().GetPositions()
    positions[5, 2] += distance
    copy.GetConformer().SetPositions(positions)
    return copy


def test_relaxing_lowers_the_energy(relaxed):
    energies = pose_energies(bent(relaxed, 0.5))
    assert energies.pose > energies.tethered > energies.free
    assert energies.strain > 0.0
    assert len(energies.conformers) == 50


def test_strain_grows_with_bending(relaxed):
    strains = [pose_energies(bent(relaxed, distance)).strain for distance in (0.0, 0.4, 0.8)]
    assert 0.0 <= strains[0] < 3.0  # at most a torsion away from the best conformer
    assert strains == sorted(strains)


def test_hydrogens_are_relaxed_and_heavy_atoms_are_not(relaxed):
    whole = Chem.AddHs(relaxed, addCoords=True)
    positions = whole.GetConformer().GetPositions()
    positions[relaxed.GetNumAtoms() :] += 0.1  # all hydrogens
    whole.GetConformer().SetPositions(positions)
    assert pose_energies(whole).pose == pytest.approx(pose_energies(relaxed).pose, abs=0.05)
    heavy = bent(relaxed, 0.8)
    assert pose_energies(heavy).pose > pose_energies(relaxed).pose + 20.0


def test_only_the_pose_matters_to_its_own_energies(relaxed):
    a, b = pose_energies(relaxed), pose_energies(bent(relaxed, 0.8))
    assert a.conformers == pytest.approx(b.conformers, abs=0.5)


def test_as_posebusters_judges(relaxed, ligand):
    ratio = pytest.importorskip("posebusters.modules.energy_ratio")
    open_log()
    for mol in (sanitized(ligand), bent(relaxed, 3.0)):
        theirs = ratio.check_energy_ratio(mol, 100.0, 50)["results"]
        ours = pose_energies(mol)
        assert ours.passes is bool(theirs["energy_ratio_passes"])
        assert ours.pose == pytest.approx(theirs["mol_pred_energy"], rel=0.05, abs=2.0)
        assert sum(ours.conformers) / len(ours.conformers) == pytest.approx(theirs["ensemble_avg_energy"], rel=0.1)


def test_threshold_and_best_conformer():
    energies = PoseEnergies(pose=250.0, tethered=12.0, free=3.0, conformers=(2.0, 4.0))
    assert energies.strain == 10.0
    assert energies.passes
    for pose, passes in ((299.5, True), (300.0, True), (300.5, False)):  # 100 times the mean of 3
        assert PoseEnergies(pose=pose, tethered=12.0, free=3.0, conformers=(2.0, 4.0)).passes is passes
    assert PoseEnergies(pose=250.0, tethered=12.0, free=1.5, conformers=(2.0, 4.0)).strain == 10.5


def test_without_parameters():
    mol = Chem.MolFromSmiles("CS(O)(O)O")
    AllChem.Compute2DCoords(mol)
    assert pose_energies(mol) is None
