"""What a million molecules take, from a run of fewer: `python -m benchmarks.load --help`.

`moldiff sample` and `moldiff evaluate` run in processes of their own, whose resident memory and files are looked at
meanwhile (Linux). Both are done for several numbers of molecules: time and disk grow with these; whether memory does is
what the peaks tell. (Within one run it grows with the sizes of molecules that have come.)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

MILLION = 1_000_000
SAMPLED, SCORED = (0.1, 1.0), (0.1, 0.5, 1.0)  # parts of the molecules that are drawn, and scored, one after another
SAMPLE = "from moldiff.cli import main; main()"
EVALUATE = (  # files above 64 MB are read record by record: here all files are, as that of a million molecules would be
    "import moldiff.metrics.command as command; from moldiff.cli import main; command.LARGE = 0; main()"
)


@dataclass(frozen=True)
class Look:
    """A process at one moment."""

    seconds: float  # since its start
    memory_mb: float  # resident
    written: int  # bytes of the file that it writes
    disk_mb: float  # of all files in its folder


@dataclass(frozen=True)
class Run:
    """What one command took."""

    molecules: int
    seconds: float
    peak_memory_mb: float
    size_mb: float  # of what it has written
    peak_disk_mb: float  # while it wrote that


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num_samples", type=int, default=10_000)
    parser.add_argument("--num_steps", type=int, default=50)
    parser.add_argument("--model", default="qm9", help="bundled model, or folder of one")
    parser.add_argument("--metrics", default="basic", help="groups of scores, with commas between them")
    parser.add_argument("--every_s", type=float, default=1.0, help="time between two looks")
    parser.add_argument("--out", type=Path, default=None, help="JSON file of the results")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results = load(Path(folder), args.num_samples, args.num_steps, args.model, args.metrics, args.every_s)
    text = json.dumps(results, indent=1) + "\n"
    sys.stdout.write(text)
    if args.out is not None:
        beside = args.out.with_name(f".{args.out.name}")
        beside.write_text(text)
        beside.replace(args.out)


def load(
    folder: Path, num_samples: int, num_steps: int, model: str, metrics: str, every_s: float = 1.0
) -> dict[str, Any]:
    """Draw and score so many molecules; what was seen, and what a million take by that."""
    sampled, scored, program = [], [], [sys.executable, "-P", "-c"]
    options = [f"--num_steps={num_steps}", f"--model={model}"]
    for part in SAMPLED:
        count, out = max(1, round(part * num_samples)), folder / f"{part}.sdf"
        command = [*program, SAMPLE, "sample", *options, f"--num_samples={count}", f"--out={out}"]
        looks = watched(command, out.with_name(f"{part}.partial.sdf"), every_s)
        disk = max(look.disk_mb for look in looks) - looks[0].disk_mb
        sampled.append(Run(count, looks[-1].seconds, _peak(looks), out.stat().st_size / 1e6, disk))
    last = [(look.written / 1e6 / sampled[-1].size_mb * num_samples, look.memory_mb) for look in looks if look.written]
    for part in SCORED:
        some, report = folder / f"some{part}.sdf", folder / f"{part}.json"
        count = head(out, some, max(1, round(part * num_samples)))
        command = [*program, EVALUATE, "evaluate", f"--molecules={some}", f"--metrics={metrics}"]
        looks = watched([*command, "--workers=1", f"--out={report}"], report, every_s)
        scored.append(Run(count, looks[-1].seconds, _peak(looks), report.stat().st_size / 1e6, 0))
    return {
        "num_steps": num_steps,
        "model": model,
        "metrics": metrics,
        "cores": len(os.sched_getaffinity(0)),
        "sample": [asdict(run) for run in sampled],
        "memory_mb_by_molecules": _thinned(last),
        "evaluate": [asdict(run) for run in scored],
        "a_million": {"sample": _a_million(sampled), "evaluate": _a_million(scored)},
    }


def _a_million(runs: Sequence[Run]) -> dict[str, float]:
    """What a million molecules take if everything goes on as a straight line, memory only if it grows."""
    count = [run.molecules for run in runs]

    def at(values: Sequence[float]) -> float:
        rise = float(np.polyfit(count, values, 1)[0]) if len(set(count)) > 1 else 0.0
        return values[-1] + max(0.0, rise) * (MILLION - count[-1])

    return {
        "hours": round(at([run.seconds for run in runs]) / 3600, 2),
        "memory_gb": round(at([run.peak_memory_mb for run in runs]) / 1e3, 2),
        "size_gb": round(at([run.size_mb for run in runs]) / 1e3, 2),
        "peak_disk_gb": round(at([run.peak_disk_mb for run in runs]) / 1e3, 2),
    }


def _peak(looks: Sequence[Look]) -> float:
    return round(max(look.memory_mb for look in looks), 1)


def watched(command: Sequence[str], file: Path, every_s: float) -> list[Look]:
    """Run a command that writes a file, and look at it from time to time, the last time when it has ended.

    Raises:
        RuntimeError: if it fails.
    """
    looks, start = [], time.perf_counter()
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            if "VmRSS" in lines:  # not if it has just ended
                sizes = {path: path.stat().st_size for path in file.parent.iterdir()}
                memory = int(lines["VmRSS"].split()[0]) / 1e3
                seconds = time.perf_counter() - start
                looks.append(Look(seconds, memory, sizes.get(file, 0), sum(sizes.values()) / 1e6))
            time.sleep(every_s)
        log.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {log.read().decode(errors='replace')[-500:]}")
    last = looks[-1]
    sizes = [path.stat().st_size for path in file.parent.iterdir()]
    return [*looks, Look(round(time.perf_counter() - start, 2), last.memory_mb, last.written, sum(sizes) / 1e6)]


def head(source: Path, target: Path, count: int) -> int:
    """Copy the first records of an .sdf file; how many there were."""
    found = 0
    with source.open("rb") as old, target.open("wb") as new:
        for line in old:
            new.write(line)
            found += line == b"$$$$\n"
            if found == count:
                break
    return found


def _thinned(points: Sequence[tuple[float, float]], most: int = 20) -> list[list[int]]:
    """Some of the points, evenly spaced."""
    places = np.unique(np.linspace(0, len(points) - 1, min(most, len(points))).round().astype(int))
    return [[round(points[k][0]), round(points[k][1])] for k in places]


if __name__ == "__main__":
    main()
