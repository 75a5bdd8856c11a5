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
        """The batches, given by the indices of their molecules, that this process has to draw.

        Raises:
            ValueError: if one of several processes has molecules of the share of another, as when batches were cut
                otherwise before: both would draw them.
        """
        share = batches[self.rank :: self.num_ranks]
        foreign = self.done.difference(*(batch.tolist() for batch in share)) if self.num_ranks > 1 else frozenset()
        if foreign and not all(self.done.issuperset(batch.tolist()) for batch in batches):
            raise ValueError(
                f"process {self.rank + 1} of {self.num_ranks} has molecule {min(foreign)}, which is another's: go on "
                "with the same --num_samples and --batch_size as before"
            )
        for batch in share:
            if not self.done.issuperset(batch.tolist()):
                yield batch


ALL = Part()
"""One process that draws all of them."""
