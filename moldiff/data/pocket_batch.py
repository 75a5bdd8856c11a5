"""Dense batches of protein pockets, and of pockets with their ligands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moldiff.chem.residues import NUM_ATOM_CLASSES, NUM_RESIDUE_CLASSES
from moldiff.data.batch import MolBatch

Level = Literal["atom", "residue"]
"""What a point of a pocket is: a heavy atom, or a residue at its Cα."""

NUM_CLASSES: dict[Level, int] = {"atom": NUM_ATOM_CLASSES, "residue": NUM_RESIDUE_CLASSES}
"""Number of classes of points at each level."""


@dataclass(frozen=True)
class PocketBatch:
    """B pockets, padded to M points: heavy atoms or residues.

    Padded points stand at the end; their entries are 0 and mean nothing. A row of padding alone has no pocket.
    Coordinates are in the frame of the file, which is that of the ligand.
    """

    pos: Float[Tensor, "B M 3"]  # Å; Cα at residue level
    types: Int[Tensor, "B M"]  # index into ATOM_CLASSES, or into RESIDUES (20 = any other)
    direction: Float[Tensor, "B M 3"]  # Å, from Cα to the centroid of the side chain; 0 at atom level and for glycine
    mask: Bool[Tensor, "B M"]  # True = atom or residue
    level: Level = "atom"

    @property
    def num_points(self) -> Int[Tensor, " B"]:
        """Number of atoms or residues of each pocket."""
        return self.mask.sum(1)

    def replace(self, **fields: Tensor) -> PocketBatch:
        """A copy with some fields exchanged."""
        return replace(self, **fields)  # type: ignore[arg-type]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PocketBatch:
        """The same batch on another device."""
        return self._map(lambda x: x.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> PocketBatch:
        """The same batch in page-locked memory, for fast copies to a GPU."""
        return self._map(lambda x: x.pin_memory())

    def __len__(self) -> int:
        """Number of pockets."""
        return self.mask.shape[0]

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> PocketBatch:
        """Some of the pockets, with the same padding; one pocket, as a batch, for an int. Rows may be repeated."""
        if isinstance(rows, int):
            rows = [range(len(self))[rows]]
        index = rows if isinstance(rows, slice | Tensor) else torch.as_tensor(rows, dtype=torch.int64)
        return self._map(lambda x: x[index])

    def _map(self, function: Callable[[Tensor], Tensor]) -> PocketBatch:
        return self.replace(**{k: function(x) for k, x in self.__dict__.items() if isinstance(x, Tensor)})


@dataclass(frozen=True)
class ComplexBatch:
    """B ligands with their pockets, row by row, in a common frame: the pocket of ligand b is `pocket[b]`.

    Raises:
        ValueError: if there are not as many pockets as ligands.
    """

    molecules: MolBatch
    pocket: PocketBatch

    def __post_init__(self) -> None:
        """Check that the rows correspond."""
        if len(self.molecules) != len(self.pocket):
            raise ValueError(f"Got {len(self.molecules)} ligands and {len(self.pocket)} pockets; expected as many")

    @property
    def mask(self) -> Bool[Tensor, "B N"]:
        """True where a ligand has an atom."""
        return self.molecules.mask

    def to(self, device: torch.device | str, non_blocking: bool = False) -> ComplexBatch:
        """The same batch on another device."""
        return ComplexBatch(self.molecules.to(device, non_blocking), self.pocket.to(device, non_blocking))

    def pin_memory(self) -> ComplexBatch:
        """The same batch in page-locked memory, for fast copies to a GPU."""
        return ComplexBatch(self.molecules.pin_memory(), self.pocket.pin_memory())

    def __len__(self) -> int:
        """Number of complexes."""
        return len(self.molecules)
