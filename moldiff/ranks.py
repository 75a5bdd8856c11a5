"""Several processes, on one machine or many, that share the work of `moldiff sample`: who draws what, and the end."""

from __future__ import annotations

import os
import platform
import subprocess  # nosec B404  # starts this program again, once for each device
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from moldiff.chem.files import MoleculeWriter
from moldiff.chem.partial_file import copy_in_order, finished_records
from moldiff.diffusion.part import Part
from moldiff.diffusion.process_settings import choose_threads


@dataclass(frozen=True)
class Rank:
    """One of the processes. They do not talk to each other: each writes a file of its own."""

    number: int = 0  # from 0, among all processes
    total: int = 1
    local: int = 0  # from 0, among those of its machine

    def device(self, device: str | None) -> str | None:
        """The GPU of this process, if GPUs are to be used; else what was asked for.

        Raises:
            ValueError: if the machine has fewer GPUs than processes.
        """
        if self.total == 1 or device not in (None, "cuda") or not torch.cuda.is_available():
            return device
        by_slurm = "SLURM_STEP_ID" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ
        if by_slurm and torch.cuda.device_count() == 1:  # it may show each process its own
            return "cuda:0"
        if self.local >= torch.cuda.device_count():
            raise ValueError(
                f"got process {self.local + 1} on a machine with {torch.cuda.device_count()} GPUs: give fewer --devices"
            )
        return f"cuda:{self.local}"

    def share(self, out: Path) -> Path:
        """The file of this process beside `out`."""
        return out.with_name(f"{out.stem}.rank{self.number}of{self.total}{out.suffix}")

    def path(self, out: Path, num_samples: int, overwrite: bool, resume: bool) -> Path:
        """What this process writes: `out` if it is alone, or if that is there already and is to be gone on with.

        Raises:
            FileExistsError: if `out` exists and is not to be replaced.
            ValueError: if several processes would add to it.
        """
        if self.total == 1:
            return out
        path = self.share(out)
        begun = path.exists() or path.with_name(f"{path.stem}.partial{path.suffix}").exists()
        if resume and out.exists() and not (begun and overwrite):
            check_whole(out, num_samples, self.total)
            return out
        if out.exists() and not overwrite:
            raise FileExistsError(f"{out} exists; choose another name, or replace it (--overwrite)")
        return path

    def writer(self, out: Path, num_samples: int, overwrite: bool, resume: bool) -> MoleculeWriter:
        """What writes `path`; nothing is changed before it is entered. Raises what both do."""
        return MoleculeWriter(self.path(out, num_samples, overwrite, resume), overwrite, resume)

    def discard(self, path: Path, overwrite: bool, resume: bool) -> None:
        """Remove the share of an earlier run, once it is clear that a new one is drawn: nobody must mix them."""
        if self.total > 1 and overwrite and not resume:
            path.unlink(missing_ok=True)

    def part(self, done: frozenset[int]) -> Part:
        """What is left for this process to draw."""
        return Part(self.number, self.total, done)

    def ending(self, out: Path, path: Path, num_samples: int, valid: int) -> str:
        """What to say when `path`, with so many valid molecules, is whole; whoever finishes last makes `out`."""
        if path == out and self.total > 1:
            self.share(out).unlink(missing_ok=True)  # of a process that was killed before it had tidied up
        total = valid if path == out else gather(out, self.total, num_samples)
        if total is None:
            return f"share {self.number + 1} of {self.total} written to {path}; {out} follows when all are there\n"
        return f"{num_samples} molecules written to {out}, {total} of them valid (strict rule)\n"


def own_rank(devices: int, num_nodes: int) -> Rank | None:
    """The place of this process among those that srun or torchrun started; None if they are still to be started.

    Raises:
        ValueError: if several machines are wanted and nobody started the processes, or not as many.
    """
    if devices < 1 or num_nodes < 1:
        raise ValueError(f"got --devices {devices} and --num_nodes {num_nodes}; expected at least 1")
    total = devices * num_nodes
    if total == 1:
        return Rank()
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    kinds: list[type[TorchElasticEnvironment | SLURMEnvironment]] = [TorchElasticEnvironment]
    if "SLURM_STEP_ID" in os.environ:  # srun sets it; what a batch script starts by itself is one process
        kinds.append(SLURMEnvironment)
    for kind in kinds:
        if kind.detect() and (num_nodes > 1 or kind().world_size() > 1):
            found = kind()
            if found.world_size() != total:
                raise ValueError(
                    f"got --devices {devices} on --num_nodes {num_nodes}, but {found.world_size()} processes were "
                    f"started; expected {total}"
                )
            return Rank(found.global_rank(), total, found.local_rank())
    if num_nodes > 1:
        raise ValueError(
            f"got --num_nodes {num_nodes}, but this process was not started by srun or torchrun; expected it to be: "
            f"srun --nodes={num_nodes} --ntasks-per-node={devices} moldiff sample ..."
        )
    return None


def check_whole(out: Path, num_samples: int, total: int) -> None:
    """That processes which share the work have nothing to add to a whole file, for which one process is needed.

    Raises:
        ValueError: if they have.
    """
    if (count := len(finished_records(out).indices)) < num_samples:
        raise ValueError(
            f"{out} is whole, with {count} molecules: got --num_samples {num_samples} for {total} processes, but one "
            "alone can add to a file: leave out --devices and --num_nodes, or choose another file"
        )


def start_ranks(devices: int, settings: Mapping[str, object]) -> None:
    """Run `moldiff sample` with these options in as many processes of this machine, and wait for them.

    Raises:
        ChildProcessError: if a process fails; the others finish their shares.
        FileExistsError: if the output exists and is not to be replaced.
        ValueError: if the processes would add to a whole file.
    """
    out, num_samples = Path(str(settings["out"])), int(str(settings["num_samples"]))
    Rank(0, devices).path(out, num_samples, bool(settings["overwrite"]), bool(settings["resume"]))
    words = [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in settings.items()
        if value is not None and value is not False
    ]
    command = [sys.executable, "-P", "-c", "from moldiff.cli import main; main()", "sample", *words]
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, choose_threads() // devices))
    # The variables are those of torchrun, so that a process need not know who started it.
    common = {**os.environ, "OMP_NUM_THREADS": threads, "WORLD_SIZE": str(devices), "TORCHELASTIC_RUN_ID": "moldiff"}
    processes = [
        subprocess.Popen(command, env={**common, "RANK": str(k), "LOCAL_RANK": str(k)})  # nosec B603  # no shell
        for k in range(devices)
    ]
    try:
        codes = [process.wait() for process in processes]
    except KeyboardInterrupt:
        for process in processes:
            process.wait()
        raise
    failed = [f"{k} (exit code {code})" for k, code in enumerate(codes) if code]
    if failed:
        raise ChildProcessError(
            f"process {', '.join(failed)} of {devices} failed; run the same command again with --resume, which draws "
            "what is missing"
        )


def gather(out: Path, num_ranks: int, num_samples: int) -> int | None:
    """Put the files of all processes into one, in the order of the indices, and remove them; None if some are missing.

    Whoever finishes last does it; if two do it at once, both write the same.

    Returns:
        How many molecules pass the strict rule.

    Raises:
        ValueError: if the files do not hold each molecule once.
    """
    paths = [Rank(k, num_ranks).share(out) for k in range(num_ranks)]
    if not all(path.exists() for path in paths):
        return None
    temporary = out.with_name(f".{out.name}.{platform.node()}.{os.getpid()}")
    try:
        shares = [finished_records(path) for path in paths]
        runs = frozenset().union(*(share.runs for share in shares))
        indices = sorted(index for share in shares for index in share.indices)
        if len(runs) > 1 or indices != list(range(num_samples)):
            raise ValueError(
                f"{paths[0]} and the like hold {len(indices)} molecules, {len(set(indices))} of them different, of "
                f"{len(runs)} runs; expected each of {num_samples} once, of one run: move them away and draw again"
            )
        copy_in_order([(share.path, share.indices, share.lengths) for share in shares], temporary)
        temporary.replace(out)
        for path in paths:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        if not out.exists():
            raise
        return finished_records(out).num_valid  # another process was faster
    finally:
        temporary.unlink(missing_ok=True)
    return sum(share.num_valid for share in shares)
