"""What `Samples` makes of drawn molecules."""

import dataclasses

import numpy as np
import pytest

from moldiff.chem.arrays import MoleculeArrays
from moldiff.samples import Samples


@pytest.fixture
def heavy() -> Samples:
    """Five molecules without hydrogens: sound twice, too many bonds at C and O, in pieces, coordinates that are NaN."""
    numbers, positions = np.array([6, 8, 9]), np.array([[0.0, 0.0, 0.0], [1.4, 0.0, 0.0], [-0.5, 1.3, 0.0]])
    bonds = [[1, 1, 0], [2, 1, 0], [3, 2, 0], [1, 0, 0]]
    drawn = [MoleculeArrays(numbers, positions, np.zeros_like(numbers), np.array(b, dtype=np.int8)) for b in bonds]
    drawn.append(dataclasses.replace(drawn[0], positions=np.full((3, 3), np.nan)))
    return Samples(tuple(drawn), seed=0, num_steps=1, model="heavy", hydrogens=False)


def test_molecules_without_hydrogens_are_counted_as_they_are_flagged(heavy: Samples) -> None:
    report = heavy.report(reference=None)
    assert [mol.GetIntProp("moldiff_valid") for mol in heavy.raw] == [1, 1, 0, 0, 0]
    assert (report.strict.valid.count, report.requested) == (2, 5)
    assert any("the model draws no hydrogens" in note for note in report.notes)


@pytest.mark.parametrize("place", [slice(1, 4), slice(None, None, 2), slice(-2, None), slice(3, 1), slice(None)])
def test_slices_keep_indices_and_notes(heavy: Samples, place: slice) -> None:
    noted = dataclasses.replace(heavy, notes=tuple({"moldiff_target_x": str(k)} for k in range(5)))
    part, wanted = noted[place], list(range(5))[place]
    assert [mol.GetIntProp("moldiff_index") for mol in part.raw] == wanted
    assert [mol.GetProp("moldiff_target_x") for mol in part.raw] == [str(k) for k in wanted]
    assert [mol.GetIntProp("moldiff_index") for mol in heavy[place].raw] == wanted
    assert [mol.GetProp("_Name") for mol in part[::-1].raw] == [f"heavy-seed0-{k}" for k in wanted[::-1]]
    assert len(part) == len(wanted) == len(list(part))
