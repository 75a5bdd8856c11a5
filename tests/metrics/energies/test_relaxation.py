"""Relaxation: a relaxed molecule has nothing to give, and real ones have a little."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from scipy.spatial.transform import Rotation

from moldiff.chem.files import read_molecules
from moldiff.metrics.energies import Relaxation, RelaxationScores, gfn2_relaxation, mmff_relaxation
from moldiff.metrics.energies.relaxation import KCAL_PER_HARTREE, superposed_rmsd

METHODS = [
    pytest.param(mmff_relaxation, id="MMFF94"),
    pytest.param(
        gfn2_relaxation,
        id="GFN2-xTB",
        marks=pytest.mark.skipif(find_spec("tblite") is None, reason="the extra moldiff[xtb] is not installed"),
    ),
]


@pytest.fixture(scope="module")
def real() -> list[Chem.Mol]:
    mols = read_molecules(Path(__file__).parents[2] / "fixtures" / "qm9_200.sdf")
    return [mol for mol in mols if mol is not None]


def test_rmsd_after_superposition() -> None:
    x = np.random.default_rng(0).normal(size=(7, 3))
    moved = Rotation.random(random_state=1).apply(x) + 5.0
    assert superposed_rmsd(x, moved) == pytest.approx(0, abs=1e-6)
    assert superposed_rmsd(x, x * [1, 1, -1]) > 0.1  # a mirror image is another molecule
    pair = np.array([[0, 0, 0], [1.0, 0, 0]])
    assert superposed_rmsd(pair, 2 * pair) == pytest.approx(0.5)
    noisy = moved + np.random.default_rng(2).normal(scale=0.3, size=x.shape)
    centred, other = x - x.mean(0), noisy - noisy.mean(0)
    _, residual = Rotation.align_vectors(centred, other)
    assert superposed_rmsd(x, noisy) == pytest.approx(residual / np.sqrt(7))
    assert superposed_rmsd(x[:1], moved[:1]) == 0.0


@pytest.mark.parametrize("relaxation", METHODS)
def test_nothing_is_printed(embed, relaxation, capfd) -> None:
    relaxation(embed("C"))
    assert capfd.readouterr() == ("", "")


def test_units_of_energies() -> None:
    """A hartree is 627.5 kcal/mol (2625.5 kJ/mol of 4.184 kJ each)."""
    assert pytest.approx(2625.4996 / 4.184, rel=1e-6) == KCAL_PER_HARTREE


@pytest.mark.parametrize("relaxation", METHODS)
def test_a_stretched_molecule_relaxes_and_is_not_changed(embed, relaxation) -> None:
    mol = embed("CCO")
    x = mol.GetConformer().GetPositions()
    mol.GetConformer().SetPositions(1.05 * x)
    found = relaxation(mol)
    assert found.converged
    assert found.energy > 5
    assert 0.01 < found.rmsd < 0.5
    assert np.array_equal(mol.GetConformer().GetPositions(), 1.05 * x)


def test_a_relaxed_molecule_has_nothing_to_give(embed) -> None:
    found = mmff_relaxation(embed("CCO"))  # by MMFF94
    assert found.energy == pytest.approx(0, abs=0.01)
    assert found.rmsd == pytest.approx(0, abs=0.01)


def test_real_molecules_relax_under_mmff(real: list[Chem.Mol]) -> None:
    """The floor of every figure: QM9's DFT geometries relax by 6 kcal/mol and 0.19 Å."""
    scores = RelaxationScores.of([mmff_relaxation(mol) for mol in real])
    assert scores.converged.value == 1
    assert scores.energy.value == pytest.approx(6.5, abs=1.5)
    assert scores.rmsd.value == pytest.approx(0.19, abs=0.03)


def test_real_molecules_relax_less_under_xtb(real: list[Chem.Mol]) -> None:
    pytest.importorskip("tblite")
    scores = RelaxationScores.of([gfn2_relaxation(mol) for mol in real[::20]])
    assert scores.converged.value == 1
    assert scores.energy.value == pytest.approx(1.1, abs=0.7)
    assert scores.rmsd.value == pytest.approx(0.03, abs=0.02)


def test_the_charge_of_an_ion_is_heeded(embed) -> None:
    pytest.importorskip("tblite")
    assert gfn2_relaxation(embed("C[NH3+]")).converged


def test_what_failed_stays_in_the_denominator() -> None:
    scores = RelaxationScores.of([Relaxation(2.0, 0.1, True), Relaxation(90.0, 2.0, False), None])
    assert (scores.converged.count, scores.converged.total) == (1, 3)
    assert (scores.energy.value, scores.energy.count, scores.energy.of) == (2.0, 1, "converged")


def test_atoms_in_one_place_do_not_spoil_the_mean(embed) -> None:
    sound, collapsed = embed("CCO"), embed("CCO")
    collapsed.GetConformer().SetPositions(np.zeros((9, 3)))  # as in a file that has no coordinates
    scores = RelaxationScores.of([mmff_relaxation(sound), mmff_relaxation(collapsed)])
    assert (scores.converged.count, scores.converged.total) == (1, 2)
    assert scores.energy == RelaxationScores.of([mmff_relaxation(sound)]).energy


def test_errors(embed) -> None:
    with pytest.raises(ValueError, match="MMFF94 has no parameters"):
        mmff_relaxation(embed("CB(C)C"))
