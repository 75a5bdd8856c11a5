"""Data sets in files that are mapped into memory, as a data module."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.datamodule import MoleculeDataModule, TableSplits
from moldiff.data.loader import MoleculeLoader
from moldiff.data.shard_batching import ShardBatchSampler
from moldiff.data.shards import ShardedTable
from moldiff.data.statistics import Statistics


class ShardDataModule(MoleculeDataModule):
    """Molecules from a folder by `moldiff.data.shards.write_shards`: memory does not grow with their number.

    Whole files are for validation or test: the last ones.

    Args:
        path: the folder.
        batch_size: molecules per batch.
        val_files, test_files: number of files for validation and test; the others are for training.
        num_workers: processes that gather batches; they share the mapped files.
        seed: of the order of the training batches.

    Raises (in `setup`):
        FileNotFoundError: if the folder holds no such files.
        ValueError: if none is left for training, or the files do not fit together.
    """

    train: ShardedTable  # type: ignore[assignment]
    val: ShardedTable  # type: ignore[assignment]
    test: ShardedTable  # type: ignore[assignment]

    def __init__(
        self,
        path: str | Path,
        batch_size: int = 64,
        val_files: int = 1,
        test_files: int = 1,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers, seed)
        self.path, self.val_files, self.test_files = Path(path), val_files, test_files

    def load(self) -> TableSplits:
        """Open the files."""
        files = sorted(self.path.glob("*.safetensors"))
        if not files:
            raise FileNotFoundError(f"The folder {self.path} holds no .safetensors files; write them by write_shards")
        num_train = len(files) - self.val_files - self.test_files
        if min(self.val_files, self.test_files) < 0 or num_train < 1:
            raise ValueError(
                f"Got val_files={self.val_files}, test_files={self.test_files} of {len(files)} files, which leave "
                f"{num_train} for training; expected at least 1"
            )
        cuts = (0, num_train, num_train + self.val_files, len(files))
        parts = [files[a:b] for a, b in pairwise(cuts)]
        return TableSplits(*(ShardedTable(part) if part else [] for part in parts))  # type: ignore[arg-type]

    def recode(self, vocabulary: Vocabulary) -> None:
        """Files stay as they are.

        Raises:
            ValueError: if they are of another vocabulary.
        """
        if vocabulary != self.vocabulary:
            raise ValueError(
                f"{self.path}: got files of {self.vocabulary}; expected {vocabulary}: give write_shards molecules of it"
            )

    @property
    def statistics(self) -> Statistics:
        """Of the training split."""
        return self.train.statistics

    def _loader(self, table: Any, shuffle: bool) -> MoleculeLoader[Any]:
        rank, num_replicas = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        sampler = ShardBatchSampler(table, self.batch_size, shuffle, self.seed, rank=rank, num_replicas=num_replicas)
        return MoleculeLoader(table, sampler, self.num_workers)
