"""A loader of batches that goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch.utils.data import DataLoader

from moldiff.data.batching import SizeBatchSampler

BatchT = TypeVar("BatchT")
BatchT_co = TypeVar("BatchT_co", covariant=True)


class BatchSource(Protocol[BatchT_co]):
    """Gives batches by the numbers of their members: a `MoleculeTable` or a `ComplexTable`."""

    def __len__(self) -> int: ...

    def __getitems__(self, indices: Sequence[int]) -> BatchT_co: ...


class MoleculeLoader(DataLoader[BatchT]):
    """Batches of a table in the order of a `SizeBatchSampler`; Lightning keeps its state in every checkpoint.

    The first pass after `load_state_dict` begins behind the last batch that had been handed out, so that a run that was
    interrupted in the middle of an epoch sees the same batches as an uninterrupted one.

    Args:
        table: the molecules, or complexes.
        batch_sampler: which of them make a batch.
        num_workers: processes that gather batches; 0 = this one.
    """

    batch_sampler: SizeBatchSampler

    def __init__(self, table: BatchSource[BatchT], batch_sampler: SizeBatchSampler, num_workers: int = 0) -> None:
        super().__init__(
            table,  # type: ignore[arg-type]  # it has __getitems__, which is all that a batch sampler needs
            batch_sampler=batch_sampler,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=_as_it_is,
        )
        self._done = 0  # batches of this epoch that were handed out
        self._resumed = False

    def __iter__(self) -> Iterator[BatchT]:  # type: ignore[override]
        """One epoch, or the rest of an interrupted one. Nothing is done before the first batch is asked for."""
        self._done = self._done if self._resumed else 0
        self._resumed = False
        self.batch_sampler.start = self._done
        for batch in super().__iter__():
            self._done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch and how many of its batches were handed out."""
        return {"epoch": self.batch_sampler.epoch, "batches": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after the batches that were handed out; after a whole epoch, with the next one."""
        whole = state["batches"] >= len(self)
        self.batch_sampler.set_epoch(state["epoch"] + whole)
        self._done, self._resumed = (0 if whole else state["batches"]), True


def _as_it_is(batch: Any) -> Any:
    return batch  # the table has made it a batch
