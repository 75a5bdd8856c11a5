"""What a model must know of its training data to draw sizes, priors and properties; saved with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.property_statistics import PropertyStatistics
from moldiff.data.table import MoleculeTable


@dataclass(frozen=True)
class Statistics:
    """Marginals and moments of a data set, in plain Python types.

    `atom_types`, `charges` and `bond_types` are probabilities in the order of the vocabulary; those of `bond_types` are
    over all pairs of atoms of a molecule, unbonded ones included.
    """

    vocabulary: Vocabulary
    num_molecules: int
    sizes: Mapping[int, int]  # atoms (with hydrogens) -> number of molecules
    atom_types: tuple[float, ...]
    charges: tuple[float, ...]
    bond_types: tuple[float, ...]
    position_std: float  # Å, per component, of coordinates centred molecule by molecule
    properties: Mapping[str, PropertyStatistics] = field(default_factory=dict)

    @classmethod
    def of(cls, table: MoleculeTable) -> Statistics:
        """Count them in a table.

        Raises:
            ValueError: if the table is empty.
        """
        if not len(table):
            raise ValueError("Got an empty table; statistics need at least one molecule")
        counts = torch.bincount(table.sizes)
        vocabulary = table.vocabulary
        return cls(
            vocabulary=vocabulary,
            num_molecules=len(table),
            sizes={n: int(counts[n]) for n in counts.nonzero().flatten().tolist()},
            atom_types=_shares(table.atom_types, len(vocabulary.elements)),
            charges=_shares(table.charges, len(vocabulary.charges)),
            bond_types=_shares(table.bond_types, len(vocabulary.bond_orders)),
            position_std=_position_std(table),
            properties={
                name: PropertyStatistics.of(values, table.sizes, table.metadata.get("units", {}).get(name, ""))
                for name, values in table.properties.items()
                if values.isfinite().any()
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries and numbers, to be written as YAML or JSON."""
        return {
            "vocabulary": self.vocabulary.to_dict(),
            "num_molecules": self.num_molecules,
            "sizes": dict(self.sizes),
            "atom_types": list(self.atom_types),
            "charges": list(self.charges),
            "bond_types": list(self.bond_types),
            "position_std": self.position_std,
            "properties": {name: statistics.to_dict() for name, statistics in self.properties.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Statistics:
        """Undo `to_dict`, also after a way through JSON, which turns the sizes into strings."""
        return cls(
            vocabulary=Vocabulary.from_dict(values["vocabulary"]),
            num_molecules=values["num_molecules"],
            sizes={int(n): count for n, count in values["sizes"].items()},
            atom_types=tuple(values["atom_types"]),
            charges=tuple(values["charges"]),
            bond_types=tuple(values["bond_types"]),
            position_std=values["position_std"],
            properties={name: PropertyStatistics.from_dict(p) for name, p in values.get("properties", {}).items()},
        )


def _shares(classes: Tensor, num_classes: int) -> tuple[float, ...]:
    """The share of each class; if there is nothing to count (pairs of single atoms), all is class 0."""
    counts = torch.bincount(classes.int(), minlength=num_classes).double()
    if not counts.sum():
        counts[0] = 1
    return tuple((counts / counts.sum()).tolist())


def _position_std(table: MoleculeTable) -> float:
    owner = torch.repeat_interleave(torch.arange(len(table)), table.sizes)
    pos = table.pos.double()
    centres = pos.new_zeros(len(table), 3).index_add_(0, owner, pos) / table.sizes[:, None]
    return float((pos - centres[owner]).square().mean().sqrt())
