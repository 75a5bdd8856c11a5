"""A data module for .xyz files, which have coordinates but no bonds."""

import logging
from pathlib import Path

from moldiff.chem import from_mol, read_molecules, sanitized
from moldiff.data import MoleculeDataModule, MoleculeTable
from moldiff.data.cache import cached_table, file_checksum
from moldiff.data.datamodule import TableSplits
from moldiff.data.splits import random_split

VERSION = 1  # raise it when `_build` changes what comes out: cached tables of older versions are made anew


class XYZDataModule(MoleculeDataModule):
    """Neutral molecules of one .xyz file of many frames, with all hydrogens; bonds are found from the distances.

    Args:
        path: the file.
        val_fraction, test_fraction: shares of the molecules for validation and test.
        batch_size: molecules per batch.
        seed: of the split and of the order of the training batches.
        limit: keep at most this many molecules of each split.
    """

    def __init__(
        self,
        path: str | Path,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        batch_size: int = 64,
        seed: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed=seed, limit=limit)
        self.path, self.val_fraction, self.test_fraction = Path(path), val_fraction, test_fraction

    def load(self) -> TableSplits:
        """The cached table, or a new one, in three parts."""
        name = f"xyz-{file_checksum(self.path)[:16]}"  # another content, another table
        table = cached_table(name, VERSION, lambda: _build(self.path))
        split = random_split(len(table), self.val_fraction, self.test_fraction, self.seed)
        return TableSplits(*(table.subset(part.tolist()) for part in (split.train, split.val, split.test)))


def _build(path: Path) -> MoleculeTable:
    molecules, index = [], []
    frames = read_molecules(path)  # finds bonds; None where a frame is empty
    for number, mol in enumerate(frames, 1):
        clean = None if mol is None or mol.GetNumBonds() == 0 else sanitized(mol)
        if clean is not None:
            molecules.append(from_mol(clean))
            index.append(number)
    if not molecules:
        raise ValueError(f"{path}: got {len(frames)} frames, none with bonds; expected whole molecules, hydrogens too")
    if len(molecules) < len(frames):
        logging.getLogger(__name__).warning("%s: %d frames left out", path, len(frames) - len(molecules))
    return MoleculeTable.from_arrays(molecules, index, metadata={"source": path.name})
