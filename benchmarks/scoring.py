"""How long `moldiff evaluate` takes: `python -m benchmarks.scoring [--num_molecules 10000] [--workers 1,2]`.

Molecules of QM9, evenly spaced, are written to an SDF file, which is not timed. The command is timed from its start to
its end: imports, reading and the reference are included.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from moldiff.chem.arrays import to_mol
from moldiff.chem.files import MoleculeWriter
from moldiff.data.qm9 import qm9_table


def write_molecules(path: Path, count: int) -> None:
    """An SDF file with so many molecules of QM9, evenly spaced."""
    table = qm9_table()
    with MoleculeWriter(path) as writer:
        for k in range(count):
            writer.write(to_mol(table.molecule(k * len(table) // count)))


def seconds(path: Path, workers: int, metrics: str) -> tuple[float, float]:
    """Time by the clock, and of the processors, of one run."""
    command = [Path(sys.executable).with_name("moldiff"), "evaluate", "--molecules", path]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, f"--workers={workers}", f"--metrics={metrics}"], check=True, stdout=subprocess.DEVNULL)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--num_molecules", type=int, default=10_000)
    parser.add_argument("--workers", default="1,2", help="numbers of processes, with commas between them")
    parser.add_argument("--metrics", default="basic", help="groups of scores, with commas between them")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "qm9.sdf")
        write_molecules(path, args.num_molecules)
        for workers in map(int, args.workers.split(",")):
            clock, busy = seconds(path, workers, args.metrics)
            print(
                f"{args.num_molecules:,} molecules, --metrics {args.metrics}, --workers {workers}: {clock:.1f} s "
                f"({busy:.1f} s of processor time)"
            )


if __name__ == "__main__":
    main()
