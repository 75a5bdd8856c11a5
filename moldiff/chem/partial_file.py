"""Files of molecules that are still being written: which records are whole, one writer at a time, all or nothing."""

from __future__ import annotations

import os
import re
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

if sys.platform != "win32":
    import fcntl

_TAG = re.compile(rb">\s*<moldiff_(\w+)>")
_IN_COMMENT = re.compile(r"\bmoldiff_(\w+)=(.*?)(?= moldiff_\w+=|$)")


@dataclass(frozen=True)
class Run:
    """What all records of one run have in common."""

    seed: str
    num_steps: str
    model: str
    request: str = ""  # a digest of the weights and of what else molecules were asked to be

    def __str__(self) -> str:
        """As in a message."""
        other = f", weights and other options of digest {self.request}" if self.request else ""
        return f"seed {self.seed}, {self.num_steps} steps, model {self.model}{other}"


@dataclass(frozen=True)
class FinishedRecords:
    """The whole records at the beginning of a file that `moldiff sample` wrote, in full or in part."""

    path: Path
    indices: array[int]  # `moldiff_index` of each
    lengths: array[int]  # of each, in bytes
    runs: frozenset[Run]  # that they are of: one, unless files were mixed
    num_valid: int  # that pass the strict rule

    def repeats(self, whole: FinishedRecords) -> bool:
        """Whether there are any, and all of them are in another file of the same run."""
        return bool(self.indices) and self.runs <= whole.runs and set(self.indices) <= set(whole.indices)

    def followed_by(self, more: FinishedRecords) -> FinishedRecords:
        """These records and those of another file, which is named in messages."""
        indices, lengths = self.indices + more.indices, self.lengths + more.lengths
        return FinishedRecords(more.path, indices, lengths, self.runs | more.runs, self.num_valid + more.num_valid)

    def checked(self, run: Run, num_samples: int) -> frozenset[int]:
        """The indices, if they can all be of this run.

        Raises:
            ValueError: if a record is of another run or of a greater index, or an index comes twice.
        """
        other = next(iter(self.runs - {run}), None)
        if other is not None:
            raise ValueError(
                f"{self.path} holds molecules of another run ({other}); expected {run}: give that run's options, or "
                "move the file away"
            )
        done = frozenset(self.indices)
        if len(done) < len(self.indices):
            raise ValueError(
                f"{self.path}: got {len(self.indices)} molecules with {len(done)} indices; expected each index once, "
                "also in a whole file beside it: move the file away"
            )
        if done and max(done) >= num_samples:
            raise ValueError(
                f"{self.path}: got molecules with indices up to {max(done)}; expected them below "
                f"num_samples={num_samples}: ask for as many or more, or move the file away"
            )
        return done


def finished_records(path: Path) -> FinishedRecords:
    """Scan a .sdf or .xyz file, record by record; what is cut off at its end is left out.

    Raises:
        ValueError: if a record lacks `moldiff_index` and the like, so that it is not by `moldiff sample`.
    """
    indices, lengths, runs, num_valid = array("q"), array("q"), set(), 0
    with path.open("rb") as file:
        for length, properties in _xyz_records(path, file) if path.suffix.lower() == ".xyz" else _sdf_records(file):
            try:
                indices.append(int(properties["index"]))
                seed, num_steps, model = (properties[name] for name in ("seed", "num_steps", "model"))
                runs.add(Run(seed, num_steps, model, properties.get("request", "")))
                num_valid += properties["valid"] == "1"
                if "relaxed" in properties:
                    raise KeyError("relaxed")
            except (KeyError, ValueError) as error:
                raise ValueError(
                    f"{path}: record {len(lengths) + 1} does not say its moldiff_index, seed, num_steps, model and "
                    "valid, or `moldiff relax` has changed it; expected a file that `moldiff sample` wrote"
                ) from error
            lengths.append(length)
    return FinishedRecords(path, indices, lengths, frozenset(runs), num_valid)


def state(path: Path) -> tuple[int, ...]:
    """What changes if a file is replaced or written to."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def lock(file: IO[bytes], path: Path) -> None:
    """Keep other processes of this kind out until the file is closed or this process ends, however it ends.

    Raises:
        BlockingIOError: if another process has it, or had it and has moved it away.
    """
    if sys.platform == "win32":
        return
    busy = f"{path} is being written by another process: wait for it, or choose another name"
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BlockingIOError(busy) from error
    except OSError:  # a file system without locks
        return
    if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
        raise BlockingIOError(busy)


def write_all(file: IO[bytes], data: bytes, path: Path) -> None:
    """Append to an unbuffered file: all of the data, or nothing.

    Raises:
        OSError: if there is no room, say; the file is as it was.
    """
    end, rest = os.fstat(file.fileno()).st_size, memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        os.ftruncate(file.fileno(), end)
        raise type(error)(
            error.errno,
            f"{error.strerror}; the molecules that are finished stay there: make room, go on (--resume)",
            str(path),
        ) from error


def copy_in_order(sources: Sequence[tuple[Path, Sequence[int], Sequence[int]]], target: Path) -> None:
    """Write the records of files, each given by the places and the lengths of its records, in the order of the places.

    Raises:
        OSError: if there is no room, say; `target` is removed.
    """
    places = np.concatenate([np.asarray(places) for _, places, _ in sources])
    lengths = np.concatenate([np.asarray(lengths) for _, _, lengths in sources])
    owner = np.repeat(np.arange(len(sources)), [len(places) for _, places, _ in sources])
    starts = np.concatenate([np.cumsum(lengths) - np.asarray(lengths) for _, _, lengths in sources])
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path, _, _ in sources]
        try:
            with target.open("wb") as out:
                for k in np.argsort(places, kind="stable"):
                    files[owner[k]].seek(starts[k])
                    out.write(files[owner[k]].read(lengths[k]))
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            target.unlink(missing_ok=True)
            names = ", ".join(str(path) for path, _, _ in sources)
            why = f"{error.strerror}; all molecules are in {names}, make room for a copy and go on (--resume)"
            raise type(error)(error.errno, why, str(target)) from error


def _sdf_records(file: IO[bytes]) -> Iterator[tuple[int, dict[str, str]]]:
    length, properties, key = 0, {}, ""
    for line in file:
        length += len(line)
        if key:
            properties[key], key = line.decode(errors="replace").strip("\n"), ""
        elif match := _TAG.match(line):
            key = match[1].decode()
        elif line == b"$$$$\n":
            yield length, properties
            length, properties = 0, {}


def _xyz_records(path: Path, file: IO[bytes]) -> Iterator[tuple[int, dict[str, str]]]:
    while (head := file.readline()).endswith(b"\n"):
        if not head.strip().isdigit():
            raise ValueError(f"{path}: got the line {head[:50]!r}; expected the number of atoms of a record")
        lines = [head, *(file.readline() for _ in range(int(head) + 1))]
        if not lines[-1].endswith(b"\n"):
            return
        yield sum(map(len, lines)), dict(_IN_COMMENT.findall(lines[1].decode(errors="replace").strip("\n")))
