"""Molecules and complexes in turns, to train one model that works with a pocket and without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batching import SizeBatchSampler
from moldiff.data.datamodule import MoleculeDataModule, TableSplits
from moldiff.data.loader import MoleculeLoader
from moldiff.data.statistics import Statistics


class MixedLoader:
    """The batches of one loader, and between every few of them one of a second, whose epochs go on and on.

    Like `MoleculeLoader`, it goes on where it was interrupted.

    Args:
        molecules: the loader whose epochs count.
        complexes: the one that is asked in between.
        every: batches of molecules between two batches of complexes.
    """

    def __init__(self, molecules: MoleculeLoader[Any], complexes: MoleculeLoader[Any], every: int) -> None:
        self.molecules, self.complexes, self.every = molecules, complexes, every
        self._done = 0  # batches of this epoch that were handed out
        self._resumed = False

    @property
    def batch_sampler(self) -> SizeBatchSampler:
        """That of the first loader, which Lightning tells the epoch."""
        return self.molecules.batch_sampler

    @property
    def _pauses(self) -> int:
        """Batches of complexes in an epoch; an epoch begins and ends with molecules."""
        return (len(self.molecules) - 1) // self.every

    def __len__(self) -> int:
        """Batches of both kinds in an epoch."""
        return len(self.molecules) + self._pauses

    def __iter__(self) -> Iterator[Any]:
        """One epoch, or the rest of an interrupted one."""
        self._done = self._done if self._resumed else 0
        self._resumed = False
        epoch = self.batch_sampler.epoch
        kinds = [k for n in range(len(self.molecules)) for k in ("cm" if n and n % self.every == 0 else "m")]
        before = kinds[: self._done]
        self.molecules.load_state_dict({"epoch": epoch, "batches": before.count("m")})
        sources = {"m": iter(self.molecules), "c": self._complexes(epoch * self._pauses + before.count("c"))}
        for kind in kinds[self._done :]:
            batch = next(sources[kind])
            self._done += 1
            yield batch

    def _complexes(self, place: int) -> Iterator[Any]:
        """Batches of complexes from a place on, counted over all epochs."""
        epoch, batches = divmod(place, len(self.complexes))
        self.complexes.load_state_dict({"epoch": epoch, "batches": batches})
        while True:
            yield from self.complexes
            epoch += 1
            self.complexes.batch_sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """The epoch and how many of its batches were handed out."""
        return {"epoch": self.batch_sampler.epoch, "batches": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after the batches that were handed out; after a whole epoch, with the next one."""
        whole = state["batches"] >= len(self)
        self.batch_sampler.set_epoch(state["epoch"] + whole)
        self._done, self._resumed = (0 if whole else state["batches"]), True


class MixedDataModule(MoleculeDataModule):
    """Batches of molecules without a pocket (`MolBatch`) and of complexes (`ComplexBatch`), in turns.

    `train`, `val`, `test` and `statistics` are those of the molecules, but for the sizes of ligands by pocket.

    Args:
        molecules: data module of the molecules; its batches make an epoch.
        complexes: data module of the complexes, of the same vocabulary.
        every: batches of molecules between two batches of complexes.

    Raises (in `setup`):
        ValueError: if the vocabularies differ.
    """

    def __init__(self, molecules: MoleculeDataModule, complexes: MoleculeDataModule, every: int = 2) -> None:
        super().__init__(molecules.batch_size)
        if every < 1:
            raise ValueError(f"Got every={every}; expected at least 1 batch of molecules between those of complexes")
        self.molecules, self.complexes, self.every = molecules, complexes, every

    @property
    def statistics(self) -> Statistics:
        """Of the molecules, with the sizes of the complexes' ligands by pocket."""
        self.setup()
        return replace(self.molecules.statistics, pocket_sizes=self.complexes.statistics.pocket_sizes)

    def load(self) -> TableSplits:
        """Load both, once."""
        for data in (self.molecules, self.complexes):
            data.trainer = self.trainer
            data.setup()
        if self.molecules.vocabulary != self.complexes.vocabulary:
            raise ValueError(
                f"Got molecules of {self.molecules.vocabulary} and complexes of {self.complexes.vocabulary}; expected "
                "the same vocabulary"
            )
        return TableSplits(self.molecules.train, self.molecules.val, self.molecules.test)

    def recode(self, vocabulary: Vocabulary) -> None:
        """Both."""
        super().recode(vocabulary)
        self.molecules.recode(vocabulary)
        self.complexes.recode(vocabulary)

    def train_dataloader(self) -> MixedLoader:  # type: ignore[override]
        """Both, in turns."""
        self.setup()
        return MixedLoader(self.molecules.train_dataloader(), self.complexes.train_dataloader(), self.every)

    def val_dataloader(self) -> list[MoleculeLoader[Any]]:
        """One after the other, without what is empty."""
        self.setup()
        return [d.val_dataloader() for d in (self.molecules, self.complexes) if len(d.val)]  # type: ignore[misc]

    def test_dataloader(self) -> list[MoleculeLoader[Any]]:
        """One after the other, without what is empty."""
        self.setup()
        return [d.test_dataloader() for d in (self.molecules, self.complexes) if len(d.test)]  # type: ignore[misc]
