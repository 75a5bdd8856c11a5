"""What all data modules share: splits in tables, statistics of the training split, size-bucketed loaders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batching import SizeBatchSampler
from moldiff.data.loader import BatchSource, MoleculeLoader
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable


@dataclass(frozen=True)
class TableSplits:
    """The three parts of a data set; validation and test may be empty."""

    train: MoleculeTable
    val: MoleculeTable
    test: MoleculeTable


class MoleculeDataModule(pl.LightningDataModule, ABC):
    """Batches (`MolBatch`) of molecules with 3D coordinates, bonds and charges.

    A subclass says how to get the tables, in `load`; it must cache what takes long, since every process calls it.
    On several devices the batches are dealt out here, so tell the trainer `use_distributed_sampler: false`.

    Args:
        batch_size: molecules per batch.
        num_workers: processes that gather batches; 0 is fast enough for most uses (0.2 ms per batch of 64).
        seed: of the order of the training batches.
        limit: keep at most this many molecules of each split (the first ones), for quick trials.
    """

    def __init__(self, batch_size: int = 64, num_workers: int = 0, seed: int = 0, limit: int | None = None) -> None:
        super().__init__()
        if limit is not None and limit < 1:
            raise ValueError(f"Got limit={limit}; expected at least 1, or null for no limit")
        self.batch_size, self.num_workers, self.seed, self.limit = batch_size, num_workers, seed, limit
        self._splits: TableSplits | None = None
        self._statistics: Statistics | None = None

    @abstractmethod
    def load(self) -> TableSplits:
        """Read the three splits; the first call may process and cache them."""

    def prepare_data(self) -> None:
        """Process and cache the data, in one process only."""
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        """Load the tables, once."""
        if self._splits is None:
            splits = self.load()
            if self.limit is not None:
                parts = (splits.train, splits.val, splits.test)
                splits = TableSplits(*(part.subset(range(min(self.limit, len(part)))) for part in parts))
            self._splits = splits

    def recode(self, vocabulary: Vocabulary) -> None:
        """Give the molecules in the classes of another vocabulary, that of a model which is trained further.

        Loaders that were made before are not changed.

        Raises:
            ValueError: if it lacks an element, charge or bond order that occurs in the molecules.
        """
        splits = self._loaded()
        if vocabulary != self.vocabulary:
            self._splits = TableSplits(*(part.recoded(vocabulary) for part in (splits.train, splits.val, splits.test)))
            self._statistics = None

    @property
    def train(self) -> MoleculeTable:
        """The training split; loads the data if `setup` has not run."""
        return self._loaded().train

    @property
    def val(self) -> MoleculeTable:
        """The validation split."""
        return self._loaded().val

    @property
    def test(self) -> MoleculeTable:
        """The test split."""
        return self._loaded().test

    @property
    def vocabulary(self) -> Vocabulary:
        """Elements, charges and bond orders of the whole data set."""
        return self.train.vocabulary

    @property
    def statistics(self) -> Statistics:
        """Of the training split."""
        if self._statistics is None:
            self._statistics = Statistics.of(self.train)
        return self._statistics

    def train_dataloader(self) -> MoleculeLoader[Any]:
        """Shuffled batches of the training split."""
        return self._loader(self.train, shuffle=True)

    def val_dataloader(self) -> MoleculeLoader[Any] | list[MoleculeLoader[Any]]:
        """Batches of the validation split in a fixed order; an empty list if it is empty."""
        return self._loader(self.val, shuffle=False) if len(self.val) else []

    def test_dataloader(self) -> MoleculeLoader[Any] | list[MoleculeLoader[Any]]:
        """Batches of the test split in a fixed order; an empty list if it is empty."""
        return self._loader(self.test, shuffle=False) if len(self.test) else []

    def _loaded(self) -> TableSplits:
        self.setup()
        assert self._splits is not None
        return self._splits

    def _loader(self, table: MoleculeTable, shuffle: bool) -> MoleculeLoader[Any]:
        trainer = self.trainer
        rank, num_replicas = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
        groups, per_group = self._groups(table) if shuffle else (None, 1)
        sampler = SizeBatchSampler(
            table.sizes,
            self.batch_size,
            shuffle,
            self.seed,
            rank=rank,
            num_replicas=num_replicas,
            groups=groups,
            per_group=per_group,
        )
        return MoleculeLoader(self._source(table), sampler, self.num_workers)

    def _source(self, table: MoleculeTable) -> BatchSource[Any]:
        """What makes batches of the molecules of a split: the table itself, unless a subclass adds to it."""
        return table

    def _groups(self, table: MoleculeTable) -> tuple[list[str] | None, int]:
        """Group of each molecule for training, and how many of each group come in an epoch; None: all of them."""
        return None, 1
