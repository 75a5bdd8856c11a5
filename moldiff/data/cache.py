"""Processed data sets on disk: built once, read in a second."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import platformdirs

from moldiff.data.pocket_table import PocketTable
from moldiff.data.table import MoleculeTable
from moldiff.data.tensor_file import TableFileError

Table = TypeVar("Table", MoleculeTable, PocketTable)

_logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """The environment variable `MOLDIFF_CACHE`, else the user's cache directory (`~/.cache/moldiff` on Linux)."""
    return Path(os.environ.get("MOLDIFF_CACHE") or platformdirs.user_cache_dir("moldiff")).expanduser()


def cached_table(name: str, version: int, build: Callable[[], MoleculeTable]) -> MoleculeTable:
    """The molecules `name` from the cache, or built and stored there; see `cached`."""
    return cached(name, version, build, MoleculeTable.load)


def cached(name: str, version: int, build: Callable[[], Table], load: Callable[[Path], Table]) -> Table:
    """The table `name` from the cache, read with `load`, or built and stored there.

    A file of another `version` (of the processing, raised whenever its result changes), of another table format or with
    a wrong checksum is rebuilt, with a warning.

    Raises:
        OSError: if it cannot be stored.
    """
    path = cache_folder() / f"{name}.safetensors"
    if path.exists():
        try:
            table = load(path)
        except TableFileError as error:
            _logger.warning("Rebuilding a cached data set: %s", error)
        else:
            found = table.metadata.get("version")
            if found == version:
                return table
            _logger.warning("Rebuilding %s: it was processed by version %s, this is %s", path, found, version)
    table = build()
    table = replace(table, metadata={**table.metadata, "version": version})
    try:
        table.save(path)
    except OSError as error:
        raise OSError(f"{error}, by the environment variable MOLDIFF_CACHE") from error
    return table


def file_checksum(path: str | Path) -> str:
    """SHA-256 of a file's content, by which the cache knows the files that a table was made from."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
