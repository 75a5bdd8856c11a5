"""Molecules and complexes in turns, to train one model that works with a pocket and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batching import SizeBatchSampler
from moldiff.data.datamodule import MoleculeDataModule
from moldiff.data.loader import MoleculeLoader
from moldiff.data.statistics import Statistics


class MixedLoader:
    """The batches of one loader, and after every few of them one of a second, whose epochs go on and on.

    The second loader's place follows from the first one's epoch and place, so the state of the first is all there is to
    keep.

    Args:
        molecules: the loader whose epochs count.
        complexes: the one that is asked in between.
        every: batches of molecules for each batch of complexes.
    """

    def __init__(self, molecules: MoleculeLoader[Any], complexes: MoleculeLoader[Any], every: int) -> None:
        self.molecules, self.complexes, self.every = molecules, complexes, every

    @property
    def batch_sampler(self) -> SizeBatchSampler:
        """That of the first loader, which Lightning tells the epoch."""
        return self.molecules.batch_sampler

    def __len__(self) -> int:
        """Batches of both kinds in an epoch."""
        return len(self.molecules) + len(self.molecules) // self.every

    def __iter__(self) -> Iterator[Any]:
        """One epoch, or the rest of an interrupted one."""
        before = self.batch_sampler.epoch * (len(self.molecules) // self.every)
        stream = iter(self.molecules)
        batch = next(stream, None)  # from here on the loader knows how far it is
        complexes = self._complexes(before + (self.molecules.state_dict()["batches"] - 1) // self.every)
        while batch is not None:
            yield batch
            if self.molecules.state_dict()["batches"] % self.every == 0:
                yield next(complexes)
            batch = next(stream, None)

    def _complexes(self, place: int) -> Iterator[Any]:
        """Batches of complexes from a place on, counted over all epochs."""
        epoch, batches = divmod(place, len(self.complexes))
        self.complexes.load_state_dict({"epoch": epoch, "batches": batches})
        while True:
            yield from self.complexes
            epoch += 1
            self.complexes.batch_sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """The epoch and how many batches of molecules were handed out."""
        return self.molecules.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after the batches that were handed out."""
        self.molecules.load_state_dict(state)


class MixedDataModule(pl.LightningDataModule):
    """Batches of molecules without a pocket (`MolBatch`) and of complexes (`ComplexBatch`), in turns.

    Args:
        molecules: data module of molecules, which say the statistics and how long an epoch is.
        complexes: data module of complexes, of the same vocabulary.
        every: batches of molecules for each batch of complexes.

    Raises (in `setup`):
        ValueError: if the vocabularies differ.
    """

    def __init__(self, molecules: MoleculeDataModule, complexes: MoleculeDataModule, every: int = 2) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"Got every={every}; expected at least 1 batch of molecules for each batch of complexes")
        self.molecules, self.complexes, self.every = molecules, complexes, every

    def prepare_data(self) -> None:
        """Process and cache both, in one process only."""
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        """Load both, once."""
        for data in (self.molecules, self.complexes):
            data.trainer = self.trainer
            data.setup(stage)
        if self.molecules.vocabulary != self.complexes.vocabulary:
            raise ValueError(
                f"Got molecules of {self.molecules.vocabulary} and complexes of {self.complexes.vocabulary}; expected "
                "the same vocabulary"
            )

    @property
    def vocabulary(self) -> Vocabulary:
        """Of both."""
        return self.molecules.vocabulary

    @property
    def statistics(self) -> Statistics:
        """Of the molecules' training split."""
        return self.molecules.statistics

    def train_dataloader(self) -> MixedLoader:
        """Both, in turns."""
        return MixedLoader(self.molecules.train_dataloader(), self.complexes.train_dataloader(), self.every)

    def val_dataloader(self) -> list[MoleculeLoader[Any]]:
        """One after the other, without what is empty."""
        return [d.val_dataloader() for d in (self.molecules, self.complexes) if len(d.val)]  # type: ignore[misc]

    def test_dataloader(self) -> list[MoleculeLoader[Any]]:
        """One after the other, without what is empty."""
        return [d.test_dataloader() for d in (self.molecules, self.complexes) if len(d.test)]  # type: ignore[misc]
