"""Compressed files: no more is unpacked than a file of molecules can hold."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

_PLENTY = 100_000_000  # bytes; what is smaller is unpacked without questions
_DENSEST = 200  # times smaller at most; texts of molecules become 3 to 20 times smaller, zeros 1,000 times
_PART = 10_000_000


def unpacked(path: Path) -> bytes:
    """The content of a .gz file.

    Raises:
        ValueError: if it is not a whole gzip file, or unpacks to far more than a text could.
    """
    limit = max(_PLENTY, _DENSEST * path.stat().st_size)
    parts, size = [], 0
    try:
        with gzip.open(path) as file:
            while part := file.read(_PART):
                parts.append(part)
                size += len(part)
                _check(path, size, limit)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file ({error}); copy it again, or unpack it") from error
    return b"".join(parts)


def check_zip(path: Path) -> None:
    """Whether the parts of a .zip file (.npz, .ckpt) unpack to no more than data could.

    Raises:
        ValueError: if not.
        OSError, zipfile.BadZipFile: if it is no whole zip file.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(part.file_size for part in archive.infolist())
    _check(path, size, max(_PLENTY, _DENSEST * path.stat().st_size))


def _check(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise ValueError(
            f"{path}: got {path.stat().st_size:,} bytes that unpack to more than {limit:,}; expected molecules: unpack "
            "the file yourself if you trust it"
        )
