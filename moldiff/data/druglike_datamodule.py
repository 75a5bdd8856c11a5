"""Drug-like molecules as a data module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from moldiff.data.datamodule import MoleculeDataModule, TableSplits
from moldiff.data.druglike import druglike_table
from moldiff.data.exclusion import CROSSDOCKED
from moldiff.data.splits import key_split


class DrugLikeDataModule(MoleculeDataModule):
    """Drug-like molecules of 6 to 50 heavy atoms, without hydrogens: ligands of the PDB and embedded SMILES of MOSES.

    They are neutral where possible, and have the properties `qed` and `logp`. The first use processes the sources in
    all cores and caches the result: about 5 core minutes for `ccd`, one core hour for 100,000 molecules of `moses`; if
    it is stopped, the next use goes on with the SMILES that are left. Molecules of one connectivity graph (tautomers,
    stereoisomers, the same molecule in two sources) come into the same split.

    Args:
        sources: `ccd` (needs moldiff[ccd]), `moses` (needs `pip install --no-deps molsets`), or paths of files, see
            `moldiff.data.druglike.source_table`.
        num_molecules: SMILES to take of each source of SMILES, chosen at random; null = all.
        exclude: molecules that must not be trained on: by default the ligands of the CrossDocked2020 test set; or a
            file of SMILES, see `moldiff.data.exclusion.excluded_keys`; null = none.
        batch_size: molecules per batch.
        val_fraction, test_fraction: shares of the molecules for validation and test; the rest is for training.
        num_workers: processes that gather batches; 0 is fast enough for most uses.
        seed: of the order of the training batches.
        limit: keep at most this many molecules of each split, for quick trials.
        data_seed: of the choice of SMILES, of their conformers (which are made anew for another seed) and of the split.
        processes: that process the sources; null = one for each core that this process may use.

    Raises (in `setup`):
        FileNotFoundError, ModuleNotFoundError: if a source is not there; the message says what to install.
        ValueError: if a source cannot be read, or the fractions leave nothing for training.

    Example:
        >>> data = DrugLikeDataModule(["ccd"], batch_size=32)  # doctest: +SKIP
        >>> data.vocabulary.elements  # doctest: +SKIP
        ('C', 'N', 'O', 'S', 'P', 'F', 'Cl', 'Br', 'I', 'B')
    """

    def __init__(
        self,
        sources: Sequence[str] = ("ccd", "moses"),
        num_molecules: int | None = 100_000,
        exclude: str | Path | None = CROSSDOCKED,
        batch_size: int = 64,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        num_workers: int = 0,
        seed: int = 0,
        limit: int | None = None,
        data_seed: int = 0,
        processes: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, seed, limit)
        if isinstance(sources, str):
            raise ValueError(f"Got sources={sources!r}; expected a list, such as ['ccd', 'moses']")
        self.sources, self.num_molecules, self.exclude, self.processes = sources, num_molecules, exclude, processes
        self.val_fraction, self.test_fraction, self.data_seed = val_fraction, test_fraction, data_seed

    def load(self) -> TableSplits:
        """Read the cached tables, or make them, and split their molecules."""
        table = druglike_table(self.sources, self.num_molecules, self.exclude, self.data_seed, self.processes)
        split = key_split(table.keys.numpy(), self.val_fraction, self.test_fraction, self.data_seed)
        return TableSplits(*(table.subset(torch.from_numpy(part)) for part in (split.train, split.val, split.test)))
