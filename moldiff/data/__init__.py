"""Data sets of molecules with 3D coordinates, and of pockets: reading, caching, statistics, batching."""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "ComplexBatch": "pocket_batch",
    "ComplexDataModule": "datamodules",
    "ComplexTable": "pocket_table",
    "DrugLikeDataModule": "datamodules",
    "MixedDataModule": "datamodules",
    "MolBatch": "batch",
    "MoleculeDataModule": "datamodules",
    "MoleculeTable": "table",
    "PocketBatch": "pocket_batch",
    "PocketTable": "pocket_table",
    "QM9DataModule": "datamodules",
    "SDFDataModule": "datamodules",
    "ShardDataModule": "datamodules",
    "ShardedTable": "shards",
    "SizeBatchSampler": "batching",
    "Statistics": "statistics",
    "write_shards": "shards",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import public names when they are first asked for: `MolBatch` must not bring Lightning with it."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
