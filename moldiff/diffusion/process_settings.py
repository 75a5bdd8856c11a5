"""Settings of the whole process that training and sampling on a CPU gain much from."""

from __future__ import annotations

import ctypes
import os
import platform
import time
import warnings
from pathlib import Path

import torch

_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1


def prepare_process() -> None:
    """What the commands do first: keep freed memory, and use the processor's free cores only."""
    keep_freed_memory()
    choose_threads()


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for re-use, in place of giving it back to the system and faulting it in again.

    Elementwise work on tensors of many megabytes becomes several times faster; the process keeps its peak memory.
    Returns whether the settings were made: not on other C libraries, nor if GLIBC_TUNABLES sets the allocator already.
    """
    if platform.libc_ver()[0] != "glibc" or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    mallopt = ctypes.CDLL("libc.so.6").mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def choose_threads(busy: float | None = None) -> int:
    """Let torch use the cores that this process may use and that nothing else keeps busy; returns their number.

    The threads of a product wait for each other: with one more thread than free cores, everything takes many times
    as long. OMP_NUM_THREADS, if set, is obeyed.

    Args:
        busy: how many of the cores other processes keep busy; measured for a tenth of a second if None (Linux).

    Warns:
        UserWarning: if cores are busy, or OMP_NUM_THREADS asks for more threads than there are free cores.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    busy = _busy_cores(cores) if busy is None else busy
    free = max(1, len(cores) - round(busy))
    if os.environ.get("OMP_NUM_THREADS"):
        if torch.get_num_threads() > free:
            warnings.warn(
                f"OMP_NUM_THREADS asks for {torch.get_num_threads()} threads, but {busy:.1f} of {len(cores)} cores are "
                f"busy with other work: this can be many times slower than OMP_NUM_THREADS={free}",
                stacklevel=2,
            )
        return torch.get_num_threads()
    if free < len(cores):
        warnings.warn(
            f"{busy:.1f} of {len(cores)} cores are busy with other work: using {free} of them (OMP_NUM_THREADS=n "
            "chooses otherwise)",
            stacklevel=2,
        )
    torch.set_num_threads(min(free, torch.get_num_threads()))
    return torch.get_num_threads()


def _busy_cores(cores: list[int], seconds: float = 0.1) -> float:
    """How many of these cores are in use by anything, on Linux; 0 where that cannot be told."""
    first = _times(cores)
    time.sleep(seconds)
    last = _times(cores)
    shares = [(last[c][0] - first[c][0]) / max(1, last[c][1] - first[c][1]) for c in first if c in last]
    return float(sum(shares))


def _times(cores: list[int]) -> dict[int, tuple[int, int]]:
    """Ticks in use and in all of each core, from /proc/stat."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return {}
    rows = (line.split() for line in lines if line.startswith("cpu") and line[3:4].isdigit())
    ticks = {int(row[0][3:]): [int(x) for x in row[1:9]] for row in rows}
    return {c: (sum(t) - t[3] - t[4], sum(t)) for c, t in ticks.items() if c in cores}  # idle and waiting for a disk


def usable_device(name: str | None) -> torch.device:
    """The device of a name; without one a GPU if there is one, else the CPU.

    Raises:
        ValueError: if it cannot be used.
    """
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise ValueError(
            f"device {name!r} cannot be used ({reason}): give cpu, or cuda where there is a GPU"
        ) from error
    if device.type == "mps":
        raise ValueError(f"device {name!r} cannot be used: it has no float64 numbers: give cpu, or leave --device out")
    return device
