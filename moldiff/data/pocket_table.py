"""All pockets of a data set in flat tensors, and the table of complexes that they make with the ligands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moldiff.chem.pocket import Pocket
from moldiff.data.pocket_batch import NUM_CLASSES, ComplexBatch, Level, PocketBatch
from moldiff.data.table import MoleculeTable, offsets, padded
from moldiff.data.tensor_file import load_tensors, save_tensors

FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class PocketTable:
    """K pockets with A points (atoms or residues) in all; pocket k owns the points `ptr[k]:ptr[k+1]`."""

    level: Level
    pos: Tensor  # (A, 3) float32, Å
    types: Tensor  # (A,) int16, class of the atom or residue
    direction: Tensor  # (A, 3) float32, Å; (0, 3) at atom level
    ptr: Tensor  # (K+1,) int64
    metadata: Mapping[str, Any] = field(default_factory=dict)  # where it came from, what was left out; JSON types

    @classmethod
    def from_pockets(
        cls, pockets: Sequence[Pocket | None], level: Level = "atom", metadata: Mapping[str, Any] | None = None
    ) -> PocketTable:
        """Pack pockets; None is a row without pocket.

        Raises:
            ValueError: if `level` is unknown.
        """
        if level not in NUM_CLASSES:
            raise ValueError(f"Got level={level!r}; expected one of {', '.join(NUM_CLASSES)}")
        positions, directions = [np.zeros((0, 3))], [np.zeros((0, 3))]
        types, sizes = [np.zeros(0, dtype=np.int64)], []
        for pocket in pockets:
            points = 0 if pocket is None else (len(pocket) if level == "atom" else pocket.num_residues)
            sizes.append(points)
            if pocket is None:
                continue
            positions.append(pocket.positions if level == "atom" else pocket.residue_positions())
            types.append(pocket.atom_classes() if level == "atom" else pocket.residue_classes())
            if level == "residue":
                directions.append(pocket.residue_directions())
        return cls(
            level=level,
            pos=torch.from_numpy(np.concatenate(positions).astype(np.float32)),
            types=torch.from_numpy(np.concatenate(types).astype(np.int16)),
            direction=torch.from_numpy(np.concatenate(directions).astype(np.float32)),
            ptr=offsets(torch.tensor(sizes, dtype=torch.int64)),
            metadata=metadata or {},
        )

    @classmethod
    def joined(cls, parts: Sequence[PocketTable], metadata: Mapping[str, Any] | None = None) -> PocketTable:
        """The pockets of several tables of one level, in their order."""
        return cls(
            level=parts[0].level,
            pos=torch.cat([part.pos for part in parts]),
            types=torch.cat([part.types for part in parts]),
            direction=torch.cat([part.direction for part in parts]),
            ptr=offsets(torch.cat([part.sizes for part in parts])),
            metadata=metadata or {},
        )

    def __len__(self) -> int:
        """Number of pockets K."""
        return len(self.ptr) - 1

    @property
    def sizes(self) -> Tensor:
        """Number of points of each pocket, (K,) int64."""
        return self.ptr.diff()

    def batch(self, indices: Sequence[int] | Tensor) -> PocketBatch:
        """The pockets at the places `indices` (B,), padded to the largest of them."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        starts, sizes = self.ptr[rows], self.ptr[rows + 1] - self.ptr[rows]
        points, mask = padded(starts, sizes, int(sizes.max()) if len(rows) else 0, len(self.pos))
        pos = _gather(self.pos, points) * mask[..., None]
        return PocketBatch(
            pos=pos,
            types=_gather(self.types, points).long() * mask,
            direction=self.direction[points] * mask[..., None] if len(self.direction) else torch.zeros_like(pos),
            mask=mask,
            level=self.level,
        )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file with a format version and a checksum, atomically."""
        tensors = {name: getattr(self, name).contiguous() for name in ("pos", "types", "direction", "ptr")}
        header = {"level": self.level, "metadata": dict(self.metadata)}
        save_tensors(path, "pockets", FORMAT_VERSION, tensors, header)

    @classmethod
    def load(cls, path: str | Path) -> PocketTable:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            TableFileError: if the file is cut off, damaged, or of another version.
        """
        tensors, header = load_tensors(path, "pockets", FORMAT_VERSION)
        return cls(level=header["level"], metadata=header["metadata"], **tensors)


@dataclass(frozen=True, eq=False)
class ComplexTable:
    """Ligands with their pockets: `molecules.index` names the place of each ligand's pocket in `pockets`."""

    molecules: MoleculeTable
    pockets: PocketTable

    def __len__(self) -> int:
        """Number of complexes."""
        return len(self.molecules)

    def batch(self, indices: Sequence[int] | Tensor) -> ComplexBatch:
        """The complexes at the places `indices` (B,) among the ligands."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return ComplexBatch(self.molecules.batch(rows), self.pockets.batch(self.molecules.index[rows]))

    def __getitems__(self, indices: Sequence[int]) -> ComplexBatch:
        """What a `DataLoader` with a batch sampler calls."""
        return self.batch(indices)


def _gather(values: Tensor, places: Tensor) -> Tensor:
    """Entries at the given places; zeros if there are no entries at all."""
    return values[places] if len(values) else values.new_zeros(*places.shape, *values.shape[1:])
