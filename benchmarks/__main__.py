"""All measurements of speed in one run: `python -m benchmarks [--quick]`; see README.md beside this file."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks import measure, report
from benchmarks.contenders import contenders
from moldiff.diffusion.process_settings import prepare_process

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="repeats of what is compared")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for speed.json, speed.md and speed.png")
    args = parser.parse_args()
    prepare_process()
    results = run(1 if args.quick else args.repeats, args.quick)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "speed.json").write_text(json.dumps(results, indent=1) + "\n")
    table = report.table(results)
    (args.out / "speed.md").write_text(table)
    report.plot(results, args.out / "speed.png")
    print(table)


def run(repeats: int, quick: bool = False) -> dict[str, Any]:
    """Everything, in turns of about a minute."""
    cases = contenders()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    atoms = [18, 30] if quick else [18, 30, 60, 90, 120]
    batches = [1, 16] if quick else [1, 4, 16, 64, 256]
    rounds = 2 if quick else 5
    steps = [2, 4] if quick else [10, 20, 50, 100]
    parts = {
        "training": lambda: measure.training([k for k in cases if k != "compiled" or not quick], repeats, rounds),
        "sampling": lambda: measure.sampling(cases, repeats, 20 if quick else 1000),
        "profile": lambda: measure.profiles(cases["default"]),
        "growth": lambda: measure.growth(cases["default"], atoms, batches, list(range(1, cores + 1)), steps),
        "memory": lambda: {str(n): measure.memory(n) for n in ((10,) if quick else (100, 1000))},
        "start": measure.start_up,
        "curves": lambda: measure.curves(cases["default"], cases["full"], 3 if quick else 100),
    }
    results: dict[str, Any] = {
        "machine": {
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "cores": cores,
            "torch": torch.__version__,
            "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        },
        "names": {key: case.name for key, case in cases.items()},
    }
    bar = tqdm(parts.items(), unit="part")
    for name, part in bar:
        bar.set_description(name)
        results[name] = part()
    return results


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
