"""Batches of molecules of about the same size, so that little is computed for padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor
from torch.utils.data import Sampler


class SizeBatchSampler(Sampler[list[int]]):
    """Lists of molecule numbers, similar in size within a list, for the `batch_sampler` of a `DataLoader`.

    Shuffled, the molecules are permuted, cut into windows of `window` batches, sorted by size within each window and
    cut into batches, whose order is shuffled; not shuffled, they are sorted by size once, and the batches come in one
    fixed mixed order, so that the first few hold all sizes. Every molecule comes once per epoch (with several processes
    a few come twice, so that all processes get as many batches). The order is a function of `seed` and `epoch` alone.

    Args:
        sizes: number of atoms of each molecule (M,).
        batch_size: molecules per batch; the last one cut may be smaller.
        shuffle: whether the order changes from epoch to epoch.
        seed: of the shuffling.
        window: batches that are sorted together; more means less padding and less mixing.
        drop_last: leave out the M mod batch_size molecules that fill no batch; others in each epoch if shuffled.
        rank, num_replicas: this process and the number of processes among which the batches are dealt.
        groups: a name for each molecule (M,); of each group, at most `per_group` molecules come in an epoch: the first
            ones of its order, so others in each epoch if shuffled.
        per_group: that number.

    Raises:
        ValueError: if `batch_size` or `window` is below 1, or there is not one batch.
    """

    def __init__(
        self,
        sizes: Sequence[int] | Tensor,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        window: int = 50,
        drop_last: bool = False,
        rank: int = 0,
        num_replicas: int = 1,
        groups: Sequence[str] | None = None,
        per_group: int = 1,
    ) -> None:
        self.sizes = np.asarray(sizes, dtype=np.int64)
        if batch_size < 1 or window < 1:
            raise ValueError(f"Got batch_size={batch_size}, window={window}; expected at least 1")
        names = np.arange(len(self.sizes)) if groups is None else np.asarray(groups)
        _, self._group, members = np.unique(names, return_inverse=True, return_counts=True)
        self.per_group = per_group
        self.num_molecules = int(np.minimum(members, per_group).sum())  # that come in an epoch
        if not self.num_molecules or (drop_last and self.num_molecules < batch_size):
            raise ValueError(f"Got {self.num_molecules} molecules, not enough for one batch of {batch_size}")
        self.batch_size, self.shuffle, self.seed, self.window = batch_size, shuffle, seed, window
        self.drop_last, self.rank, self.num_replicas = drop_last, rank, num_replicas
        self.epoch = 0
        self.start = 0  # so many batches of the next pass are left out, to go on in the middle of an epoch

    @property
    def sampler(self) -> SizeBatchSampler:
        """Itself: Lightning calls `batch_sampler.sampler.set_epoch(epoch)` before each epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of batches of a whole epoch for this process, whatever `start` is."""
        batches = self.num_molecules // self.batch_size if self.drop_last else -(-self.num_molecules // self.batch_size)
        return -(-batches // self.num_replicas)

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of the epoch from `start` on."""
        batches = self._batches()
        total = len(self) * self.num_replicas
        mine = [batches[k % len(batches)] for k in range(self.rank, total, self.num_replicas)]
        yield from (batch.tolist() for batch in mine[self.start :])

    def _batches(self) -> list[np.ndarray]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(len(self.sizes)) if self.shuffle else np.arange(len(self.sizes))
        order = self._thinned(order)
        if self.drop_last:
            order = order[: len(order) // self.batch_size * self.batch_size]
        step = self.window * self.batch_size if self.shuffle else max(len(order), 1)
        batches: list[np.ndarray] = []
        for first in range(0, len(order), step):
            window = order[first : first + step]
            window = window[np.argsort(self.sizes[window], kind="stable")]
            batches += [window[k : k + self.batch_size] for k in range(0, len(window), self.batch_size)]
        order = (
            generator.permutation(len(batches)) if self.shuffle else np.random.default_rng(0).permutation(len(batches))
        )
        return [batches[k] for k in order]

    def _thinned(self, order: np.ndarray) -> np.ndarray:
        """The first `per_group` members of each group in an order of all molecules, in that order."""
        if self.num_molecules == len(order):
            return order
        by_group = np.argsort(self._group[order], kind="stable")
        groups = self._group[order][by_group]
        rank = np.arange(len(order)) - np.searchsorted(groups, groups)
        kept: np.ndarray = order[np.sort(by_group[rank < self.per_group])]
        return kept
