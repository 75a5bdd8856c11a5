"""The measurements, each a function that returns plain numbers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.contenders import Contender, contenders
from benchmarks.profile import matrix_throughput, operations, shares
from benchmarks.report import DRAWN, drawn_by
from benchmarks.training_step import Trainer
from moldiff.chem.files import MoleculeWriter
from moldiff.data import QM9DataModule
from moldiff.data.batch import MolBatch
from moldiff.data.molecules import to_arrays
from moldiff.diffusion.process_settings import prepare_process
from moldiff.generator import MoleculeGenerator, record


def qm9_batches(count: int, batch_size: int = 64) -> list[MolBatch]:
    """The first training batches of QM9."""
    batches = iter(QM9DataModule(batch_size=batch_size).train_dataloader())
    return [next(batches) for _ in range(count)]


def training(keys: list[str], repeats: int, batches: int) -> dict[str, list[float]]:
    """Molecules per second of each contender in each repeat.

    Each has a process of its own: what one leaves of the memory would slow down the next.
    """
    rates = {}
    for key in keys:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            rates[key] = process.submit(_training_rates, key, repeats, batches).result()
    return rates


def _training_rates(key: str, repeats: int, batches: int) -> list[float]:
    prepare_process()
    trainer, data = Trainer(contenders()[key]), qm9_batches(batches)
    for _ in range(3 if key in ("default", "compiled") else 1):  # memory and kernels get ready
        trainer.seconds(data)
    return [sum(len(batch) for batch in data) / trainer.seconds(data) for _ in range(repeats)]


def curves(fast: Contender, full: Contender, steps: int, batch_size: int = 32) -> dict[str, list[float]]:
    """Losses of the fast form and of the first draft, from the same weights, on the same batches and noise."""
    data = qm9_batches(steps, batch_size)
    full.module.denoiser.load_state_dict(fast.module.denoiser.state_dict())
    return {key: [t.step(b) for b in data] for key, t in (("default", Trainer(fast)), ("full", Trainer(full)))}


def sampling(cases: dict[str, Contender], repeats: int, count: int) -> dict[str, list[float]]:
    """Molecules per second from the prior to a written SDF file, in each repeat, in turns.

    The bundled models, which have one network, draw `count` molecules of QM9's sizes each. The others' time per step is
    the difference between drawing with 3 and with 1 step, times their number of steps.
    """
    drawn = {drawn_by(*case): (MoleculeGenerator.from_pretrained(case[0]), case[1]) for case in DRAWN}
    rates: dict[str, list[float]] = {}
    for repeat in range(repeats + 1):  # the first warms up
        for key, (generator, num_steps) in drawn.items():
            seconds = _to_file(generator, count if repeat else 10, num_steps, repeat)
            rates.setdefault(key, []).append(count / seconds)
        for key, case in cases.items():
            if key not in ("default", "compiled"):
                rates.setdefault(key, []).append(1 / _seconds_per_molecule(case, 32))
    return {key: values[1:] for key, values in rates.items()}


def _to_file(generator: MoleculeGenerator, count: int, num_steps: int, seed: int) -> float:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        generator.sample(count, seed, num_steps, progress=False).to_sdf(f"{folder}/x.sdf")
    return time.perf_counter() - start


def _seconds_per_molecule(case: Contender, count: int) -> float:
    mask = case.mask(count)
    one, three = (_seconds(lambda steps=steps: case.draw(mask, steps)) for steps in (1, 3))
    start = time.perf_counter()
    molecules = to_arrays(case.draw(mask, 1), case.module.statistics.vocabulary)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory() as folder, MoleculeWriter(f"{folder}/x.sdf") as writer:
        for index, molecule in enumerate(molecules):
            writer.write(record(molecule, index, 0, case.num_steps, case.name))
    return (time.perf_counter() - start + (three - one) / 2 * (case.num_steps - 1)) / count


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def growth(
    case: Contender, sizes: list[int], batches: list[int], threads: list[int], steps: list[int]
) -> dict[str, Any]:
    """Milliseconds of a sampling step per molecule (for `steps`: of the whole drawing), as one thing grows."""

    def per_molecule(count: int, size: int, num_steps: int) -> float:
        mask = torch.ones(count, size, dtype=torch.bool)
        case.draw(mask, 1)
        return 1000 * median(_seconds(lambda: case.draw(mask, num_steps)) for _ in range(3)) / count

    out: dict[str, Any] = {
        "atoms": {n: per_molecule(max(1, 64 * 324 // n**2), n, 4) / 4 for n in sizes},
        "batch": {b: per_molecule(b, 18, 4) / 4 for b in batches},
        "steps": {s: per_molecule(64, 18, s) for s in steps},
    }
    before = torch.get_num_threads()
    out["threads"] = {}
    for count in threads:
        torch.set_num_threads(count)
        out["threads"][count] = per_molecule(64, 18, 4) / 4
    torch.set_num_threads(before)
    return out


def profiles(case: Contender) -> dict[str, Any]:
    """Shares of the time, and of the matrix throughput, of sampling and training the default network."""
    batch, mask, trainer = qm9_batches(1)[0], case.mask(64), Trainer(case)
    peak = matrix_throughput(torch.bfloat16 if case.bfloat16 else torch.float32)
    work: dict[str, Callable[[], Any]] = {
        "sampling": lambda: case.draw(mask, 4),
        "training": lambda: (trainer.step(batch), trainer.step(batch)),  # with and without self-conditioning
    }
    out: dict[str, Any] = {"matrix GFLOP/s": peak / 1e9}
    for name, function in work.items():
        function()
        seconds = median(_seconds(function) for _ in range(7))
        reached = operations(function) / seconds
        out[name] = {"GFLOP/s": reached / 1e9, "share of peak": reached / peak, "time": shares(function)}
    return out


def memory(num_samples: int) -> float:
    """Peak memory in GiB of `moldiff sample` (10 steps; their number does not change it) on QM9's sizes; Linux only."""
    code = (  # the peak that getrusage tells includes that of the process which started this one
        "import re, sys; from pathlib import Path; from moldiff.cli import main; main(sys.argv[1:]); "
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    with tempfile.TemporaryDirectory() as folder:
        options = ["--num_samples", str(num_samples), "--num_steps", "10", "--out", f"{folder}/x.sdf"]
        return int(_python(code, "sample", *options).split()[-1]) / 2**20


def start_up() -> dict[str, float]:
    """Seconds of the things that people wait for first; the best of three."""
    commands = {
        "import moldiff": "import moldiff",
        "moldiff --help": "from moldiff.cli import main; main(['--help'])",
        "moldiff sample --help": "import sys; from moldiff.cli import main; main(['sample', '--help'])",
    }
    return {name: min(_seconds(lambda code=code: _python(code)) for _ in range(3)) for name, code in commands.items()}


def _python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout
