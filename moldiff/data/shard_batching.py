"""Batches of similar sizes from a data set in files, without a list of all molecules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from moldiff.data.batching import SizeBatchSampler
from moldiff.data.shards import ShardedTable

_MIXED = 16  # files whose molecules are mixed


class ShardBatchSampler(SizeBatchSampler):
    """Numbers of molecules, similar in size within a batch, for a `MoleculeLoader` of a `ShardedTable`.

    Shuffled, the files are put in a new order in each epoch, and the molecules of 16 files at a time are mixed; what
    is kept in memory is what belongs to those. Every molecule comes once per epoch, and a few more than once if several
    processes share the batches. The order is a function of `seed` and `epoch` alone.

    Args:
        table: the molecules.
        batch_size: molecules per batch; the last one may be smaller.
        shuffle: whether the order changes from epoch to epoch.
        seed: of the shuffling.
        window: batches that are sorted together.
        rank, num_replicas: this process and the number of processes among which the batches are dealt.
    """

    def __init__(
        self,
        table: ShardedTable,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        window: int = 50,
        rank: int = 0,
        num_replicas: int = 1,
    ) -> None:
        super().__init__([1], batch_size, shuffle, seed, window, False, rank, num_replicas)
        self.table, self.num_molecules = table, len(table)

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of the epoch from `start` on."""
        mine = islice(self._all(), self.rank, len(self) * self.num_replicas, self.num_replicas)
        yield from (batch.tolist() for batch in islice(mine, self.start, None))

    def _all(self) -> Iterator[NDArray[np.int64]]:
        """The batches of all processes, and the first ones again."""
        first: list[NDArray[np.int64]] = []
        for batch in self._stream():
            if len(first) < self.num_replicas:
                first.append(batch)
            yield batch
        yield from first * self.num_replicas

    def _stream(self) -> Iterator[NDArray[np.int64]]:
        chance = np.random.default_rng([self.seed, self.epoch] if self.shuffle else 0)
        shards = np.arange(len(self.table.files))
        shards = chance.permutation(shards) if self.shuffle else shards
        rows = sizes = np.empty(0, dtype=np.int64)
        for first in range(0, len(shards), _MIXED):
            some = shards[first : first + _MIXED].tolist()
            rows = np.concatenate([rows, *(np.arange(*self.table.starts[k : k + 2]) for k in some)])
            sizes = np.concatenate([sizes, *(self.table.sizes_of(k) for k in some)])
            order = chance.permutation(len(rows)) if self.shuffle else np.arange(len(rows))
            last = first + _MIXED >= len(shards)
            end = len(rows) if last else len(rows) // self.batch_size * self.batch_size
            batches = list(self._cut(order[:end], sizes))
            for k in chance.permutation(len(batches)).tolist():
                yield rows[batches[k]]
            rows, sizes = rows[order[end:]], sizes[order[end:]]  # less than a batch, for the next files

    def _cut(self, order: NDArray[np.int64], sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        step = self.window * self.batch_size if self.shuffle else max(len(order), 1)
        for first in range(0, len(order), step):
            window = order[first : first + step]
            window = window[np.argsort(sizes[window], kind="stable")]
            yield from (window[k : k + self.batch_size] for k in range(0, len(window), self.batch_size))
