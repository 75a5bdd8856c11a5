"""Where the time goes, and what share of the processor's matrix throughput is reached."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

PARTS = {  # of the names of torch's operations; the first that fits counts
    "matrix products": ("mm", "bmm", "baddbmm"),
    "activations, softmax, norms": ("silu", "softmax", "exp", "tanh", "norm", "sqrt", "sigmoid"),
    "gathers and sums over partners": ("index", "scatter", "gather"),
    "copies and casts": ("copy", "cat", "clone", "fill", "zero", "contiguous"),
}


def matrix_throughput(dtype: torch.dtype, size: int = 2048, repeats: int = 7) -> float:
    """Operations per second of a product of two large square matrices; the best of some repeats."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def operations(function: Callable[[], object]) -> int:
    """Floating-point operations in the matrix products of a call."""
    with FlopCounterMode(display=False) as counter:
        function()
    return int(counter.get_total_flops())


def shares(function: Callable[[], object], repeats: int = 3) -> dict[str, float]:
    """Share of the time of each part, in percent."""
    function()
    with profile(activities=[ProfilerActivity.CPU]) as run:
        for _ in range(repeats):
            function()
    times: dict[str, float] = defaultdict(float)
    for event in run.key_averages():
        name = event.key.removeprefix("aten::").strip("_")
        part = next((part for part, keys in PARTS.items() if any(_fits(name, key) for key in keys)), "other arithmetic")
        times[part if event.key.startswith("aten::") else "Python and autograd"] += event.self_cpu_time_total
    total = sum(times.values())
    return {part: 100 * seconds / total for part, seconds in sorted(times.items(), key=lambda item: -item[1])}


def _fits(name: str, key: str) -> bool:
    return name in (key, f"add{key}") if key in ("mm", "bmm") else key in name
