"""Which of the molecules of a run a process draws: those of its share that are not there yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Part:
    """The molecules that one of several processes draws.

    Whole batches are dealt out, and a batch is drawn as a whole if any of its molecules is missing: so the arithmetic
    of a molecule is the same, to the last bit, with any number of processes and after any interruption.
    """

    rank: int = 0  # number of the process, from 0
    num_ranks: int = 1
    done: frozenset[int] = frozenset()  # indices of the molecules that are there

    def of(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """The batches, given by the indices of their molecules, that this process has to draw."""
        for batch in batches[self.rank :: self.num_ranks]:
            if not self.done.issuperset(batch.tolist()):
                yield batch


ALL = Part()
"""One process that draws all of them."""
