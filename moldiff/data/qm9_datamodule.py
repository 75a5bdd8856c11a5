"""QM9 as a data module."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from moldiff.data.datamodule import MoleculeDataModule, TableSplits
from moldiff.data.qm9 import qm9_table, split_table
from moldiff.data.splits import edm_split, halves, random_split


class QM9DataModule(MoleculeDataModule):
    """The molecules of QM9 whose bonds can be explained, which are all; the first use takes half a minute.

    Args:
        batch_size: molecules per batch.
        split: `edm` is the split of EDM and its successors, 100,000 / 17,748 / 13,083 molecules; `random` takes 80, 10
            and 10 % with `seed`. Molecules without explained bonds are left out of their split afterwards.
        source: `qm9pack` for the installed package of that name, or the folder of PyG's raw QM9 (gdb9.sdf,
            gdb9.sdf.csv, uncharacterized.txt).
        num_workers: processes that gather batches; 0 is fast enough for most uses.
        seed: of the order of the training batches and of the split `random`.
        limit: keep at most this many molecules of each split (the first ones), for quick trials.
        half: train on this half of the training split only. A generator trained on one half is judged by a regressor
            trained on the other.
    """

    def __init__(
        self,
        batch_size: int = 64,
        split: Literal["edm", "random"] = "edm",
        source: str = "qm9pack",
        num_workers: int = 0,
        seed: int = 0,
        limit: int | None = None,
        half: Literal["first", "second"] | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, seed, limit)
        if split not in ("edm", "random"):
            raise ValueError(f"Got split={split!r}; expected 'edm' or 'random'")
        if half not in (None, "first", "second"):
            raise ValueError(f"Got half={half!r}; expected 'first', 'second' or null for the whole training split")
        self.split, self.source, self.half = split, source, half

    def load(self) -> TableSplits:
        """Read the cached table, or make it, and split it."""
        table = qm9_table(self.source)
        total = len(table) + sum(len(numbers) for numbers in table.metadata["left_out"].values())
        splits = split_table(table, edm_split(total) if self.split == "edm" else random_split(total, seed=self.seed))
        if self.half is None:
            return splits
        return replace(splits, train=splits.train.subset(halves(len(splits.train))[self.half].tolist()))
