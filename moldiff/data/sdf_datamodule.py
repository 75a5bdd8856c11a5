"""Any user's SDF files as a data module."""

from __future__ import annotations

from pathlib import Path

from moldiff.data.datamodule import MoleculeDataModule, TableSplits
from moldiff.data.sdf import sdf_table
from moldiff.data.splits import random_split


class SDFDataModule(MoleculeDataModule):
    """Molecules from a file or a folder of files (.sdf, .sdf.gz), with 3D coordinates and explicit hydrogens.

    Elements and charges are found in the molecules. Records that cannot be used are left out with a warning that counts
    and names them.

    Args:
        path: file or folder.
        batch_size: molecules per batch.
        val_fraction, test_fraction: shares of the molecules for validation and test; the rest is for training.
        num_workers: processes that gather batches; 0 is fast enough for most uses.
        seed: of the split and of the order of the training batches.
        limit: keep at most this many molecules of each split.
        properties: data fields of the records that hold numbers, with their units ("" where there is none), such as
            {logS: log(mol/L)}: what networks with `properties` learn, and regressors. Records may lack some.

    Raises (in `setup`):
        FileNotFoundError: if there are no files.
        ValueError: if a file is cut off, no record can be used, none has a number for a property, or the fractions
            leave nothing for training.

    Example:
        >>> data = SDFDataModule("my_molecules.sdf", batch_size=32)  # doctest: +SKIP
        >>> data.statistics.vocabulary.elements  # doctest: +SKIP
        ('H', 'C', 'N', 'O', 'S', 'Cl')
    """

    def __init__(
        self,
        path: str | Path,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        num_workers: int = 0,
        seed: int = 0,
        limit: int | None = None,
        properties: dict[str, str] | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, seed, limit)
        self.properties = properties
        self.path, self.val_fraction, self.test_fraction = path, val_fraction, test_fraction

    def load(self) -> TableSplits:
        """Read the cached table, or make it, and split it."""
        table = sdf_table(self.path, self.properties)
        split = random_split(len(table), self.val_fraction, self.test_fraction, self.seed)
        return TableSplits(*(table.subset(places.tolist()) for places in (split.train, split.val, split.test)))
