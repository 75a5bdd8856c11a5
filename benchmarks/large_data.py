"""Resident memory and rate of a data set in mapped files, by its size: `python -m benchmarks.large_data --help`.

The molecules are those of a file, again and again, each time displaced a little; after a million, files are copies of
the first ones. Each size is read in a process of its own: so many batches, in the order of training.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from moldiff.data.sdf import sdf_table
from moldiff.data.shard_batching import ShardBatchSampler
from moldiff.data.shards import SHARD, ShardedTable, write_shards
from moldiff.data.table import MoleculeTable

MOLECULES = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "qm9_200.sdf"


_DISTINCT = 61  # files that are not copies: a million molecules


def synthetic(table: MoleculeTable, count: int) -> Iterator[MoleculeTable]:
    """So many molecules, in tables of the size of a file."""
    generator = torch.Generator().manual_seed(0)
    for first in range(0, count, SHARD):
        rows = torch.randint(len(table), (min(SHARD, count - first),), generator=generator)
        some = table.subset(rows)
        yield replace(some, pos=some.pos + 0.01 * torch.randn(some.pos.shape, generator=generator), smiles=())


def write(folder: Path, num_files: int) -> None:
    """So many files, with those that are there already."""
    if not any(folder.glob("*.safetensors")):
        write_shards(synthetic(sdf_table(MOLECULES), min(num_files, _DISTINCT) * SHARD), folder)
    files = sorted(folder.glob("*.safetensors"))
    for number in range(len(files), num_files):
        shutil.copy(files[number % len(files)], folder / f"{number:05d}.safetensors")
    print(f"{num_files} files, {num_files * files[0].stat().st_size / 2**20:.0f} MB")


def measure(folder: Path, num_files: int, batches: int) -> dict[str, float]:
    """Read batches of 64 from the first files; memory in MB above that of the imports."""
    before = _resident()
    files = sorted(folder.glob("*.safetensors"))[:num_files]
    table = ShardedTable(files)
    opened, start, count = _resident(), time.perf_counter(), 0
    peak = opened
    sampler = ShardBatchSampler(table, 64)
    for indices in sampler:
        table.__getitems__(indices)
        count += 1
        if count % 100 == 0:
            peak = {name: max(value, peak[name]) for name, value in _resident().items()}
        if count == batches:
            break
    seconds = time.perf_counter() - start
    return {
        "molecules": len(table),
        "files": len(files),
        "batches": count,
        "opened_mb": round(sum(opened.values()) - sum(before.values()), 1),
        "own_mb": round(peak["anonymous"] - before["anonymous"], 1),
        "mapped_mb": round(peak["file"] - before["file"], 1),
        "batches_per_s": round(count / seconds, 1),
        "peak_resident_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _resident() -> dict[str, float]:
    """MB of this process: its own pages, and pages of files, which the system takes back when it needs them."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Rss"))
    pages = {words[0]: int(words[1]) / 1024 for words in lines}
    return {"anonymous": pages["RssAnon:"], "file": pages["RssFile:"] + pages["RssShmem:"]}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of the files: 7 MB each")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--batches", type=int, default=1500, help="to read; all of the smallest size")
    parser.add_argument("--out", type=Path, default=None, help="JSON file of the results")
    parser.add_argument("--num_files", type=int, default=None, help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    if args.num_files is not None:
        print(json.dumps(measure(args.folder, args.num_files, args.batches)))
        return
    results = []
    write(args.folder, -(-max(args.sizes) // SHARD))
    for count in args.sizes:
        command = [sys.executable, "-m", "benchmarks.large_data", "--folder", str(args.folder)]
        command += ["--num_files", str(-(-count // SHARD)), "--batches", str(args.batches)]
        results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(json.dumps(results[-1]))
    if args.out is not None:
        args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
