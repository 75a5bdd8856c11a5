"""One function on many items, in worker processes that may die: what fails is named, and the rest goes on.

The workers are joblib's: they need no `if __name__ == "__main__"` in a user's script, and `joblib.parallel_config`
sends the same work to another backend. If that is Dask, its client is asked directly: joblib would wait for ever for
the work of a worker that died.
"""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from rdkit import Chem
from tqdm import tqdm

_CHUNK = 20  # items that a worker is given at once, at most
_LITTLE = 10.0  # seconds of work: workers take some to start
_SLOW = 1000  # from this number of items on, there is a progress bar even in one process


@dataclass(frozen=True)
class Results:
    """What a function gave for each item."""

    values: tuple[Any, ...]  # in the order of the items; None where it failed
    faults: dict[int, str]  # place of each item that failed -> why


def number_of_workers(workers: int | None, seconds: float) -> int:
    """As many as were asked for; if None, one per core that this process may use, or one if there is little to do.

    Args:
        workers: what was asked for.
        seconds: that the work takes in one process, about.
    """
    if workers is not None:
        return workers
    return int(joblib.cpu_count()) if seconds > _LITTLE else 1


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
    values: list[Any] = [None] * len(items)
    faults: dict[int, str] = {}
    for place, value, fault in as_done(function, items, name, workers, limit_s):
        values[place] = value
        if fault is not None:
            faults[place] = fault
    return Results(tuple(values), dict(sorted(faults.items())))


def as_done(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    name: str,
    workers: int = 1,
    limit_s: float = 60.0,
    slow: bool = False,
) -> Iterator[tuple[int, Any, str | None]]:
    """The same, item by item as they become ready: place, value, and why it failed.

    Args:
        function: and the next four as for `run_each`.
        items: see there.
        name: see there.
        workers: see there.
        limit_s: see there.
        slow: whether to show a progress bar even for few items in one process.

    Raises:
        ValueError: if `workers` is less than 1.
    """
    if workers < 1:
        raise ValueError(f"Got {workers} workers; expected at least 1")
    many = slow or workers > 1 or len(items) > _SLOW
    with tqdm(total=len(items), desc=name, unit="molecules", disable=None if many else True) as bar:
        if workers == 1 or len(items) <= 1:
            for place, item in enumerate(items):
                outcome = _attempt(function, item)
                bar.update()
                yield place, outcome.value, outcome.fault
            return
        for place, outcome in _Workers(function, items, workers, limit_s).finish():
            bar.update()
            yield place, outcome.value, outcome.fault


@dataclass(frozen=True)
class _Outcome:
    value: Any
    fault: str | None = None


_Places = tuple[int, ...]
_Job = tuple[Callable[[Any], Any], _Places, list[Any], float, str]  # packed items; seconds for each; folder of marks
_Done = tuple[_Places, list[_Outcome]]


@dataclass(frozen=True)
class _Workers:
    function: Callable[[Any], Any]
    items: Sequence[Any]
    workers: int
    limit_s: float

    def finish(self) -> Iterator[tuple[int, _Outcome]]:
        """All items. If a worker dies, those that were under way are tried alone, and then the others go on."""
        left = list(range(len(self.items)))
        with TemporaryDirectory() as marks:
            while left:
                size = max(1, min(_CHUNK, len(left) // (4 * self.workers)))
                done: set[int] = set()
                for places, outcomes in self._run([(*left[k : k + size],) for k in range(0, len(left), size)], marks):
                    done.update(places)
                    yield from zip(places, outcomes, strict=True)
                left = [place for place in left if place not in done]
                late, suspects = self._under_way(marks, left)
                for place in suspects:
                    alone = [] if place in late else list(self._run([(place,)], marks))
                    _clear(marks)
                    fault = _Outcome(None, f"crashed, or took more than {self.limit_s:g} s")
                    yield place, alone[0][1][0] if alone else fault
                left = [place for place in left if place not in suspects]

    def _under_way(self, marks: str, left: Sequence[int]) -> tuple[set[int], list[int]]:
        """Of the items that are left, those that have taken too long, and all that some worker had when one died.

        All that are left, if the workers leave no marks, as on other machines.
        """
        begun = {int(mark.name): time.time() - mark.stat().st_mtime for mark in Path(marks).iterdir()}
        _clear(marks)
        suspects = [place for place in left if place in begun] or list(left)
        return {place for place, seconds in begun.items() if seconds >= self.limit_s}, suspects

    def _run(self, chunks: Sequence[_Places], marks: str) -> Iterator[_Done]:
        """Whole chunks, until all are done or a worker dies."""
        jobs = ((self.function, c, [_packed(self.items[k]) for k in c], self.limit_s, marks) for c in chunks)
        client = getattr(joblib.parallel.get_active_backend()[0], "client", None)
        try:
            yield from self._by_joblib(jobs) if client is None else _by_dask(client, jobs)
        except TerminatedWorkerError:
            return

    def _by_joblib(self, jobs: Iterable[_Job]) -> Iterator[_Done]:
        parallel = joblib.Parallel(max(2, self.workers), batch_size=1, return_as="generator_unordered")
        yield from parallel(joblib.delayed(_work)(*job) for job in jobs)


def _by_dask(client: Any, jobs: Iterable[_Job]) -> Iterator[_Done]:
    """Dask gives the work of a dead worker to others, a few times; what kills them all is left to be tried alone."""
    from distributed import KilledWorker, as_completed

    jobs = iter(jobs)
    at_once = 2 * max(1, sum(client.ncores().values()))
    waiting = as_completed([client.submit(_work, *job, pure=False) for job in islice(jobs, at_once)])
    for future in waiting:
        try:
            done = future.result()
        except KilledWorker:
            pass
        else:
            yield done
        for job in islice(jobs, 1):
            waiting.add(client.submit(_work, *job, pure=False))


def _work(function: Callable[[Any], Any], places: _Places, items: Sequence[Any], limit_s: float, marks: str) -> _Done:
    """In a worker: a watchdog, which needs neither Python nor its lock, ends the process if an item takes too long.

    What is under way is marked by an empty file, of the name of its place.
    """
    outcomes, marked = [], Path(marks).is_dir()
    with open(os.devnull, "w") as nowhere:
        for place, item in zip(places, items, strict=True):
            mark = Path(marks, str(place))
            if marked:
                mark.touch()
            faulthandler.dump_traceback_later(limit_s, exit=True, file=nowhere)
            outcomes.append(_attempt(function, item.unpacked() if isinstance(item, _PackedMol) else item))
            if marked:
                mark.unlink(missing_ok=True)
        faulthandler.cancel_dump_traceback_later()
    return places, outcomes


def _clear(marks: str) -> None:
    for mark in Path(marks).iterdir():
        mark.unlink(missing_ok=True)


@dataclass(frozen=True)
class _PackedMol:
    data: bytes

    def unpacked(self) -> Chem.Mol:
        return Chem.Mol(self.data)  # type: ignore[call-overload,no-any-return]  # the stub says str


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
