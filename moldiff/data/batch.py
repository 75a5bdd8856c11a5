"""The dense batch of molecules that every part of the package passes around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


@dataclass(frozen=True)
class MolBatch:
    """B molecules, padded to N atoms; bonds are packed symmetric pairs.

    A pair property of N atoms is stored for the P = N(N-1)/2 pairs (i, j) with i > j, at the place i(i-1)/2 + j, so
    that padding with atoms only appends entries. Padded atoms stand at the end; their entries are 0 and mean nothing.

    In data, `atom_types`, `charges` and `bond_types` are class indices. In a noisy batch a process may put a
    real-valued relaxation with one more axis (B, N, K) in their place. A field that a model does not know is None.
    """

    pos: Float[Tensor, "B N 3"]  # Å
    atom_types: Shaped[Tensor, "B N *K"] | None  # index into Vocabulary.elements
    charges: Shaped[Tensor, "B N *Q"] | None  # index into Vocabulary.charges
    bond_types: Shaped[Tensor, "B P *R"] | None  # bond order, 0 = no bond
    mask: Bool[Tensor, "B N"]  # True = atom
    properties: Mapping[str, Float[Tensor, " B"]] = field(default_factory=dict)  # of data; units: see the reader
    index: Int[Tensor, " B"] | None = None  # of data: the number of each molecule in its source

    @property
    def num_atoms(self) -> Int[Tensor, " B"]:
        """Number of atoms of each molecule."""
        return self.mask.sum(1)

    @property
    def pair_mask(self) -> Bool[Tensor, "B P"]:
        """True where both atoms of a pair exist."""
        i, j = pair_indices(self.mask.shape[1], self.mask.device)
        return self.mask[:, i] & self.mask[:, j]

    def mask_of(self, field: str) -> Bool[Tensor, "B L"]:
        """The mask over the entries of one field: atoms, or pairs for `bond_types`."""
        return self.pair_mask if field == "bond_types" else self.mask

    def replace(self, **fields: Tensor | None) -> MolBatch:
        """A copy with some fields exchanged."""
        return replace(self, **fields)  # type: ignore[arg-type]

    def take(self, rows: Int[Tensor, " C"]) -> MolBatch:
        """Some of the molecules, in this order; one may come several times."""
        return self._map(lambda x: x[rows])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> MolBatch:
        """The same batch on another device."""
        return self._map(lambda x: x.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> MolBatch:
        """The same batch in page-locked memory, for fast copies to a GPU."""
        return self._map(lambda x: x.pin_memory())

    def __len__(self) -> int:
        """Number of molecules."""
        return self.mask.shape[0]

    def _map(self, function: Any) -> MolBatch:
        fields = {k: None if x is None else function(x) for k, x in self.__dict__.items() if k != "properties"}
        properties = {k: function(x) for k, x in self.properties.items()}
        return replace(self, **fields, properties=properties)  # type: ignore[arg-type]


_PAIRS: dict[tuple[int, torch.device], tuple[Tensor, Tensor]] = {}


def pair_indices(n: int, device: torch.device | str = "cpu") -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """Atoms (i, j), i > j, of the packed pairs of `n` atoms, in their order. Computed once per size and device."""
    key = (n, torch.device(device))
    if key not in _PAIRS:
        with torch.inference_mode(False):  # or tables first made while sampling could not be used for training
            i, j = torch.tril_indices(n, n, -1, device=device)
            _PAIRS[key] = (i, j)
    return _PAIRS[key]
