"""QM9 as a data module."""

from __future__ import annotations

from typing import Literal

from moldiff.data.cache import cached_table
from moldiff.data.datamodule import MoleculeDataModule, TableSplits
from moldiff.data.qm9 import PROCESSING_VERSION, build_table, edm_split, random_split, read_qm9pack, split_table


class QM9DataModule(MoleculeDataModule):
    """The 130,831 molecules of QM9 whose bonds can be explained; the first use takes a minute to process them.

    Args:
        batch_size: molecules per batch.
        split: `edm` is the split of EDM and its successors, 100,000 / 17,748 / 13,083 molecules; `random` cuts in the same
            proportions with `seed`. Molecules without explained bonds are then left out of their split.
        source: `qm9pack` for the installed package of that name.
        num_workers: processes that gather batches.
        seed: of the order of the training batches.
        limit: keep at most this many molecules of each split.
    """

    def __init__(
        self,
        batch_size: int = 64,
        split: Literal["edm", "random"] = "edm",
        source: str = "qm9pack",
        num_workers: int = 0,
        seed: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, seed, limit)
        self.split, self.source = split, source

    def load(self) -> TableSplits:
        """Read the cached table, or make it."""
        table = cached_table("qm9-qm9pack", PROCESSING_VERSION, lambda: build_table(read_qm9pack(), "qm9pack"))
        total = len(table) + sum(len(numbers) for numbers in table.metadata["left_out"].values())
        split = edm_split(total) if self.split == "edm" else random_split(total, self.seed)
        return TableSplits(*split_table(table, split))
