"""Tensors of a data set in one safetensors file, with a header, a format version and a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

_ABANDONED_S = 3600.0  # nobody writes that long without a change of the file


class TableFileError(ValueError):
    """A table file is cut off, damaged, or of another format version."""


def save_tensors(
    path: str | Path, kind: str, version: int, tensors: Mapping[str, Tensor], header: Mapping[str, Any]
) -> None:
    """Write a file atomically; missing folders are made. What killed processes left beside it is removed.

    Args:
        path: the file; it is replaced if it exists.
        kind: what the file holds, one word; `load_tensors` reads no other kind.
        version: of the format of this kind.
        tensors: name -> tensor.
        header: what else there is to say, as JSON types.

    Raises:
        OSError: if there is no room or no permission; the file is as it was.
    """
    path = Path(path)
    content = {**header, "version": version, "sha256": _checksum(tensors)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob(f".{path.name}.*"):
            with suppress(FileNotFoundError):  # another process has just finished its own
                if time.time() - old.stat().st_mtime > _ABANDONED_S:
                    old.unlink()
        save_file(dict(tensors), temporary, metadata={f"moldiff_{kind}": json.dumps(content)})
        with temporary.open("r+b") as file:  # Windows flushes what can be written only
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise OSError(f"{path} could not be written ({why}): make room, or choose another folder") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def load_tensors(
    path: str | Path, kind: str, version: int, mapped: bool = False
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header that `save_tensors` wrote; with `mapped`, the tensors are not read, nor their checksum.

    Raises:
        FileNotFoundError: if there is no such file.
        TableFileError: if the file is cut off, damaged, of another kind or of another version.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no molecule table at {path}")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {}).get(f"moldiff_{kind}", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise TableFileError(f"{path} is cut off or is no molecule table ({error}); delete it") from error
    if not isinstance(header, dict) or header.get("version") != version:
        header = header if isinstance(header, dict) else {}
        raise TableFileError(
            f"{path} has table format {header.get('version')}; expected {version}: delete it to rebuild it"
        )
    if not mapped and header.get("sha256") != _checksum(tensors):
        raise TableFileError(f"{path} does not match its checksum, it is damaged; delete it to rebuild it")
    return tensors, header


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, kinds, shapes and bytes of the tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name].numpy()
        digest.update(f"{name} {array.dtype} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return digest.hexdigest()
