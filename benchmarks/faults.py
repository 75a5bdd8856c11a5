"""Work that is killed at a random moment, and run again: `python -m benchmarks.faults --help`.

A trial starts the work in a process of its own, ends that by SIGKILL after a random time (once or several times), looks
at what is left, runs the work again and compares the result with that of work that nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from moldiff.chem.partial_file import finished_records
from moldiff.cli import main as moldiff
from moldiff.data.sdf import sdf_table
from moldiff.data.table import MoleculeTable
from moldiff.generator import MoleculeGenerator  # noqa: F401  # before processes are forked
from moldiff.metrics.command import run_evaluate  # noqa: F401
from moldiff.training.command import run_trainer  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
MOLECULES = ROOT / "tests" / "fixtures" / "qm9_200.sdf"
SAMPLE = ["sample", "--num_samples", "40", "--num_steps", "2", "--batch_size", "4", "--device", "cpu", "--resume"]


@dataclass(frozen=True)
class Kind:
    """Some work, done in the current folder."""

    work: Callable[[], None]
    look: Callable[[], None]  # at what is left when the work was killed; raises if anything is half there
    result: Callable[[], Any]  # of the finished work, to be compared
    kills: int = 1  # most times that a trial is killed
    hurt: Callable[[random.Random], None] | None = None  # in the process, in place of a random time


def cache() -> Kind:
    """Processing of molecules into a cached table."""

    def table() -> MoleculeTable:
        os.environ["MOLDIFF_CACHE"] = "cache"
        return sdf_table(MOLECULES)

    def look() -> None:
        for path in Path("cache").glob("[!.]*"):
            MoleculeTable.load(path)

    def result() -> Any:
        files = [path.name for path in Path("cache").glob("[!.]*")]
        read = table()
        return files, read.pos.tolist(), read.bond_types.tolist(), list(read.smiles)

    def work() -> None:
        table()

    return Kind(work, look, result)


def training() -> Kind:
    """A training run that saves a checkpoint after each step, goes on from the last one."""

    def work() -> None:
        config = yaml.safe_load((ROOT / "tests" / "training" / "tiny.yaml").read_text())
        config["data"]["init_args"]["path"] = str(MOLECULES)
        often = {"every_n_train_steps": 1, "save_top_k": 2, "monitor": "step"}
        config["trainer"]["callbacks"][-1]["init_args"] |= often
        os.environ["MOLDIFF_CACHE"] = "cache"
        Path("config.yaml").write_text(yaml.safe_dump(config))
        moldiff(["fit", "--config", "config.yaml", "--ckpt_path", "last"])

    def look() -> None:
        for path in Path("checkpoints").glob("*.ckpt"):
            torch.load(path, weights_only=True)

    def result() -> Any:
        saved = torch.load("checkpoints/last.ckpt", weights_only=True)
        state = {**saved["state_dict"], **{f"raw {k}": v for k, v in saved["current_model_state"].items()}}
        return saved["global_step"], {name: value.tolist() for name, value in state.items()}

    return Kind(work, look, result, kills=2)


def checkpoint() -> Kind:
    """The same, killed while a checkpoint is written."""

    def hurt(chance: random.Random) -> None:
        save, left = torch.save, chance.randrange(1, 20)

        def torn(state: Any, file: Any) -> None:
            nonlocal left
            left -= 1
            save(state, file)
            if left == 0:
                file.truncate(int(file.tell() * chance.random()))
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)

        torch.save = torn  # type: ignore[assignment]

    whole = training()
    return Kind(whole.work, whole.look, whole.result, hurt=hurt)


def sampling(rank: int | None = None) -> Kind:
    """Molecules from the bundled model; with a rank, one of two processes, after the other has finished."""

    def work() -> None:
        if rank is None:
            moldiff([*SAMPLE, "--out", "x.sdf"])
            return
        for number in (1 - rank, rank):
            os.environ |= {"RANK": str(number), "LOCAL_RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "faults"}
            moldiff([*SAMPLE, "--out", "x.sdf", "--devices", "2"])

    def look() -> None:
        for path in Path().glob("x*.sdf"):
            indices = finished_records(path).indices
            if len(set(indices)) < len(indices) or (path.name == "x.sdf" and len(indices) < 40):
                raise ValueError(f"{path}: got the molecules {list(indices)}")

    def result() -> Any:
        return sorted(path.name for path in Path().glob("*.sdf")), Path("x.sdf").read_text()

    return Kind(work, look, result, kills=3)


def evaluation() -> Kind:
    """Scores of a file."""

    def look() -> None:
        if Path("report.json").exists():
            json.loads(Path("report.json").read_text())

    def work() -> None:
        metrics = ["--metrics", "basic,properties,geometry,diversity", "--workers", "1"]
        moldiff(["evaluate", "--molecules", str(MOLECULES), "--out", "report.json", "--overwrite", *metrics])

    return Kind(work, look, lambda: json.loads(Path("report.json").read_text()))


KINDS: dict[str, Callable[[], Kind]] = {
    "cache": cache,
    "training": training,
    "checkpoint": checkpoint,
    "sampling": sampling,
    "sampling, one of two": lambda: sampling(1),
    "evaluation": evaluation,
}


def trials(name: str, count: int, seed: int = 0) -> dict[str, Any]:
    """Run trials of one kind; tells how many were killed, and what went wrong."""
    kind, chance, killed, faults = KINDS[name](), random.Random(seed), 0, []
    for _ in range(2):  # files are read from the disk the first time
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            _check(_child(kind.work, folder), "undisturbed work failed")
            seconds = time.perf_counter() - start
            expected = _in(folder, kind.result)
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                for _ in range(chance.randint(1, kind.kills)):
                    if kind.hurt is None:
                        code = _child(kind.work, folder, chance.uniform(0, seconds))
                    else:
                        code = _child(partial(_hurt, kind, chance.random()), folder)
                    killed += code == -signal.SIGKILL
                    _in(folder, kind.look)
                _check(_child(kind.work, folder), "the work failed when it was run again")
                if _in(folder, kind.result) != expected:
                    raise ValueError("the result differs")
            except Exception as error:  # noqa: BLE001  # each fault is told, and the trials go on
                faults.append(f"trial {number}: {error}")
        print(f"\r{name}: {number + 1} of {count}, {killed} killed, {len(faults)} faults", end="", file=sys.stderr)
    print(file=sys.stderr)
    return {"kind": name, "trials": count, "kills": killed, "seconds": round(seconds, 2), "faults": faults}


def _child(work: Callable[[], Any], folder: str, kill_after_s: float | None = None) -> int:
    """Exit code of some work in a forked process; -9 if it was killed."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.chdir(folder)
            log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            work()
            code = 0
        finally:
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _hurt(kind: Kind, seed: float) -> None:
    assert kind.hurt is not None
    kind.hurt(random.Random(seed))
    kind.work()


def _in(folder: str, function: Callable[[], Any]) -> Any:
    """What a function gives in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return function()
    finally:
        os.chdir(before)


def _check(code: int, message: str) -> None:
    if code:
        raise ValueError(f"{message}: exit code {code}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30, help="of each kind")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, default=None, help="JSON file of the results")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)  # a process that has threads must not be forked
    results = [trials(kind, args.trials, args.seed) for kind in args.kinds]
    print(json.dumps(results, indent=1))
    if args.out is not None:
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    if any(result["faults"] for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
