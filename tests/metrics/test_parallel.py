"""Worker processes give what one process gives, and survive what kills them."""

import math
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.metrics.distributions import count_quantities
from moldiff.metrics.parallel import run_each


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_is_named_and_the_rest_goes_on(workers: int) -> None:
    results = run_each(math.sqrt, [1.0, -1.0, *range(60)], "roots", workers)
    assert results.values == (1.0, None, *map(math.sqrt, range(60)))
    assert list(results.faults) == [1]
    assert results.faults[1].startswith("ValueError: ")


def test_a_worker_that_dies_takes_one_item_along() -> None:
    items = ["1 + 1", "__import__('os')._exit(1)", "__import__('time').sleep(60)", "7"]
    results = run_each(eval, items, "expressions", 2, limit_s=1.0)
    assert results.values == (2, None, None, 7)
    assert results.faults == dict.fromkeys((1, 2), "crashed, or took more than 1 s")


def test_what_dies_is_tried_again_alone_and_the_rest_is_not(tmp_path: Path) -> None:
    """Each item leaves a line in its file: a hang is waited for once, and only what was under way is done again."""
    paths = [tmp_path / str(place) for place in range(80)]
    items = [f"open({str(path)!r}, 'a').write('begun ')" for path in paths]
    items[3] += " and __import__('time').sleep(60)"
    results = run_each(eval, items, "lines", 2, limit_s=2.0)
    assert results.faults == {3: "crashed, or took more than 2 s"}
    times = [len(path.read_text().split()) for path in paths]
    assert times[3] == 1
    assert sum(times) < 80 + 2 * 20 + 4  # the chunks that the two workers had, at most


def test_molecules_keep_their_coordinates_to_the_last_digit(embed) -> None:
    mol = embed("CCO")
    x = mol.GetConformer().GetPositions() + 1e-12
    mol.GetConformer().SetPositions(x)
    here, there = (run_each(Chem.Mol.GetConformer, [mol], "", 1), run_each(count_quantities, [mol] * 2, "", 2))
    assert np.array_equal(here.values[0].GetPositions(), x)
    assert there.values == (count_quantities(mol),) * 2


def test_errors() -> None:
    assert run_each(math.sqrt, [], "nothing", 2).values == ()
    with pytest.raises(ValueError, match="0 workers"):
        run_each(math.sqrt, [1.0], "", 0)
