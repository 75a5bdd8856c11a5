"""The scores of QM9's own molecules: the ceiling of every figure."""

from importlib.util import find_spec

import pytest

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.data.qm9_sources import qm9pack_folder
from moldiff.data.splits import edm_split
from moldiff.metrics.edm import EDMScores, edm_verdict
from moldiff.metrics.reference import load_reference
from moldiff.metrics.reference.__main__ import qm9_records
from moldiff.metrics.strict import StrictScores, strict_verdict

pytestmark = pytest.mark.skipif(find_spec("qm9pack") is None, reason="the extra moldiff[qm9] is not installed")


@pytest.fixture(scope="module")
def geometries() -> list[MoleculeArrays]:
    return [geometry for _, geometry in qm9_records(qm9pack_folder())]


def test_split(geometries: list[MoleculeArrays]) -> None:
    rows = edm_split().train
    assert (len(geometries), len(rows)) == (130_831, 100_000)
    assert sum(len(geometries[row]) == 19 for row in rows) == 13_832


def test_test_split_by_the_edm_rule(geometries: list[MoleculeArrays]) -> None:
    """The paper: atoms 99.0, molecules 95.2, valid 97.7."""
    scores = EDMScores.of(edm_verdict(geometries[row]) for row in edm_split().test)
    assert scores.molecule_stable.total == 13_083
    assert scores.molecule_stable.value == pytest.approx(0.952, abs=0.003)
    assert scores.atom_stable.value == pytest.approx(0.993, abs=0.001)
    assert scores.valid_and_unique.value == pytest.approx(0.977, abs=0.002)


def test_training_molecules_are_valid_and_known(geometries: list[MoleculeArrays]) -> None:
    rows = sorted(edm_split().train)[::200]
    known = load_reference("qm9")
    strict = StrictScores.of((strict_verdict(to_mol(geometries[row])) for row in rows), known.smiles)
    edm = EDMScores.of((edm_verdict(geometries[row]) for row in rows), known.edm_smiles)
    assert strict.valid.value > 0.995
    assert strict.novel is not None
    assert edm.novel is not None
    assert strict.novel.value < 0.005  # zwitterions, whose charges perception places otherwise
    assert edm.novel.count == 0
