"""The scores of QM9's own molecules: the ceiling of every figure."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.metrics.edm import EDMScores, edm_verdict
from moldiff.metrics.reference import load_reference
from moldiff.metrics.reference.__main__ import NUM_MOLECULES, NUM_TRAIN, edm_training_rows, qm9_records
from moldiff.metrics.strict import StrictScores, strict_verdict

NUM_TEST = NUM_MOLECULES // 10
SPEC = find_spec("qm9pack")
pytestmark = pytest.mark.skipif(SPEC is None, reason="qm9pack (the extra moldiff[qm9]) is not installed")


@pytest.fixture(scope="module")
def geometries() -> list[MoleculeArrays]:
    assert SPEC is not None
    assert SPEC.origin is not None
    return [geometry for _, geometry in qm9_records(Path(SPEC.origin).parent / "data")]


def test_split(geometries: list[MoleculeArrays]) -> None:
    rows = edm_training_rows()
    assert (len(geometries), len(rows)) == (NUM_MOLECULES, NUM_TRAIN)
    assert sum(len(geometries[row]) == 19 for row in rows) == 13_832


def test_test_split_by_the_edm_rule(geometries: list[MoleculeArrays]) -> None:
    """The paper: atoms 99.0, molecules 95.2, valid 97.7."""
    rows = np.random.RandomState(0).permutation(NUM_MOLECULES)[-NUM_TEST:]
    scores = EDMScores.of(edm_verdict(geometries[row]) for row in rows)
    assert scores.molecule_stable.total == 13_083
    assert scores.molecule_stable.value == pytest.approx(0.952, abs=0.003)
    assert scores.atom_stable.value == pytest.approx(0.993, abs=0.001)
    assert scores.valid_and_unique.value == pytest.approx(0.977, abs=0.002)


def test_training_molecules_are_valid_and_known(geometries: list[MoleculeArrays]) -> None:
    rows = sorted(edm_training_rows())[::200]
    known = load_reference("qm9")
    strict = StrictScores.of((strict_verdict(to_mol(geometries[row])) for row in rows), known.smiles)
    edm = EDMScores.of((edm_verdict(geometries[row]) for row in rows), known.edm_smiles)
    assert strict.valid.value > 0.995
    assert strict.novel is not None
    assert edm.novel is not None
    assert strict.novel.value < 0.005  # zwitterions, whose charges perception places otherwise
    assert edm.novel.count == 0
