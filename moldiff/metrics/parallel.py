"""One function on many items, in worker processes that may die: what fails is named, and the rest goes on.

The workers are joblib's: they need no `if __name__ == "__main__"` in a user's script, and `joblib.parallel_config`
sends the same work to another backend, such as a cluster.
"""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from rdkit import Chem
from tqdm import tqdm

_CHUNK = 20  # items that a worker is given at once
_SLOW = 1000  # from this number of items on, there is a progress bar even in one process


@dataclass(frozen=True)
class Results:
    """What a function gave for each item."""

    values: tuple[Any, ...]  # in the order of the items; None where it failed
    faults: dict[int, str]  # place of each item that failed -> why


def run_each(
    function: Callable[[Any], Any], items: Sequence[Any], name: str, workers: int = 1, limit_s: float = 60.0
) -> Results:
    """Call a function on each item. An exception, or the death of a worker, fails one item and not the others.

    Args:
        function: of one item, importable in another process. Items and values must be picklable.
        items: molecules are handed over with coordinates in full precision.
        name: of the progress bar.
        workers: processes; with 1, all happens in this one, where a crash cannot be caught, nor a time limit be kept.
        limit_s: seconds that one item may take before its worker is ended.

    Raises:
        ValueError: if `workers` is less than 1.
    """
    if workers < 1:
        raise ValueError(f"Got {workers} workers; expected at least 1")
    outcomes: dict[int, _Outcome] = {}
    with tqdm(total=len(items), desc=name, disable=None if len(items) > _SLOW or workers > 1 else True) as bar:
        if workers == 1 or len(items) <= 1:
            for place, item in enumerate(items):
                outcomes[place] = _attempt(function, item)
                bar.update()
        else:
            pending = [range(k, min(k + _CHUNK, len(items))) for k in range(0, len(items), _CHUNK)]
            _run_chunks(function, items, pending, workers, limit_s, outcomes, bar)
            while pending := [c for c in pending if c[0] not in outcomes]:  # a worker died: find out by which item
                chunk = pending[0]
                _run_chunks(function, items, [chunk], 2, limit_s, outcomes, bar)
                if chunk[0] in outcomes:
                    continue
                for place in chunk:
                    started = time.monotonic()
                    _run_chunks(function, items, [range(place, place + 1)], 2, limit_s, outcomes, bar)
                    took = time.monotonic() - started
                    fault = f"took more than {limit_s:g} s" if took > limit_s else "ended its process"
                    outcomes.setdefault(place, _Outcome(None, fault))
    ordered = [outcomes[place] for place in range(len(items))]
    faults = {place: outcome.fault for place, outcome in enumerate(ordered) if outcome.fault is not None}
    return Results(tuple(outcome.value for outcome in ordered), faults)


@dataclass(frozen=True)
class _Outcome:
    value: Any
    fault: str | None = None


def _run_chunks(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    chunks: Iterable[range],
    workers: int,
    limit_s: float,
    outcomes: dict[int, _Outcome],
    bar: tqdm[Any],
) -> None:
    """Fill in the outcomes of whole chunks until all are done or a worker dies."""
    parallel = joblib.Parallel(workers, batch_size=1, return_as="generator_unordered")
    jobs = (joblib.delayed(_work)(function, c, [_packed(items[k]) for k in c], limit_s) for c in chunks)
    try:
        for chunk, done in parallel(jobs):
            outcomes.update(zip(chunk, done, strict=True))
            bar.update(len(chunk))
    except TerminatedWorkerError:
        return


def _work(
    function: Callable[[Any], Any], chunk: range, items: Sequence[Any], limit_s: float
) -> tuple[range, list[_Outcome]]:
    """In a worker: a watchdog, which needs neither Python nor its lock, ends the process if an item takes too long."""
    outcomes = []
    with open(os.devnull, "w") as nowhere:
        for item in items:
            faulthandler.dump_traceback_later(limit_s, exit=True, file=nowhere)
            outcomes.append(_attempt(function, Chem.Mol(item.data) if isinstance(item, _PackedMol) else item))
        faulthandler.cancel_dump_traceback_later()
    return chunk, outcomes


@dataclass(frozen=True)
class _PackedMol:
    data: bytes


def _packed(item: Any) -> Any:
    """RDKit pickles coordinates in single precision unless it is asked not to."""
    if not isinstance(item, Chem.Mol):
        return item
    return _PackedMol(item.ToBinary(int(Chem.PropertyPickleOptions.CoordsAsDouble)))


def _attempt(function: Callable[[Any], Any], item: Any) -> _Outcome:
    try:
        return _Outcome(function(item))
    except Exception as error:  # noqa: BLE001  # whatever a check may raise on somebody's molecule, it is told
        return _Outcome(None, f"{type(error).__name__}: {error}".split("\n")[0][:200])
