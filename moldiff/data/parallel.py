"""Work on many molecules in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from itertools import islice
from typing import TypeVar

import joblib
from joblib.externals import loky

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 16  # items that a process gets at a time
_CHUNKS = 8  # chunks per process that are read ahead of the results


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int | None = None
) -> Iterator[Result]:
    """The results in the order of the items, which are not read far ahead of them.

    Args:
        function: of one item, at the top of a module; it should raise nothing and not import torch.
        items: what to work on.
        processes: None = one for each core that this process may use; with 1, the work is done in this process.

    Raises:
        ValueError: if `processes` is below 1.
        BrokenProcessPool: if a process was killed, for want of memory for example.
    """
    processes = joblib.cpu_count() if processes is None else processes
    if processes < 1:
        raise ValueError(f"Got processes={processes}; expected at least 1, or null for all cores")
    if processes == 1:
        yield from map(function, items)
        return
    remaining = iter(items)
    with _pool(processes) as pool:
        while block := list(islice(remaining, processes * _CHUNK * _CHUNKS)):
            yield from pool.map(function, block, chunksize=_CHUNK)


def _pool(processes: int) -> Executor:
    if multiprocessing.get_start_method() == "fork":  # processes start at once, and share what is loaded
        return ProcessPoolExecutor(processes)
    pool: Executor = loky.ProcessPoolExecutor(processes)  # needs no guard of `__main__` in a script
    return pool
