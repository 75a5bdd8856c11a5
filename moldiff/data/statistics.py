"""What a model must know of its training data to draw sizes, priors and properties; saved with the weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.pocket_sizes import PocketSizes
from moldiff.data.property_statistics import PropertyStatistics
from moldiff.data.table import MoleculeTable

_MOST_ATOMS = 10_000  # of a molecule; all pairs of its atoms are looked at


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
    pocket_sizes: PocketSizes | None = None  # of ligands, if there are complexes in the data

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

    @classmethod
    def merged(cls, parts: Sequence[Statistics]) -> Statistics:
        """Those of the union of data sets of one vocabulary; properties that not all of them have are left out.

        Raises:
            ValueError: if there are none, or the vocabularies differ.
        """
        if len({part.vocabulary for part in parts}) != 1:
            raise ValueError(f"Got statistics of {len(parts)} data sets; expected some, and of one vocabulary")
        sizes: Counter[int] = Counter()
        for part in parts:
            sizes.update(part.sizes)
        atoms = [sum(n * count for n, count in part.sizes.items()) for part in parts]
        pairs = [sum(n * (n - 1) // 2 * count for n, count in part.sizes.items()) for part in parts]
        molecules = [part.num_molecules for part in parts]
        names = set.intersection(*(set(part.properties) for part in parts))
        merged = {n: PropertyStatistics.merged([p.properties[n] for p in parts], molecules) for n in sorted(names)}
        return cls(
            vocabulary=parts[0].vocabulary,
            num_molecules=sum(molecules),
            sizes=dict(sorted(sizes.items())),
            atom_types=_mean_shares([part.atom_types for part in parts], atoms),
            charges=_mean_shares([part.charges for part in parts], atoms),
            bond_types=_mean_shares([part.bond_types for part in parts], pairs),
            position_std=_mean([part.position_std**2 for part in parts], atoms) ** 0.5,
            properties=merged,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries and numbers, to be written as YAML or JSON."""
        values: dict[str, Any] = {
            "vocabulary": self.vocabulary.to_dict(),
            "num_molecules": self.num_molecules,
            "sizes": dict(self.sizes),
            "atom_types": list(self.atom_types),
            "charges": list(self.charges),
            "bond_types": list(self.bond_types),
            "position_std": self.position_std,
            "properties": {name: statistics.to_dict() for name, statistics in self.properties.items()},
        }
        return values if self.pocket_sizes is None else {**values, "pocket_sizes": self.pocket_sizes.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Statistics:
        """Undo `to_dict`, also after a way through JSON, which turns the sizes into strings.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: if the values are not such as `to_dict` gives.
        """
        in_pockets = values.get("pocket_sizes")
        made = cls(
            vocabulary=Vocabulary.from_dict(values["vocabulary"]),
            num_molecules=values["num_molecules"],
            sizes={int(n): count for n, count in values["sizes"].items()},
            atom_types=tuple(values["atom_types"]),
            charges=tuple(values["charges"]),
            bond_types=tuple(values["bond_types"]),
            position_std=values["position_std"],
            properties={name: PropertyStatistics.from_dict(p) for name, p in values.get("properties", {}).items()},
            pocket_sizes=None if in_pockets is None else PocketSizes.from_dict(in_pockets),
        )
        made._check()
        return made

    def _check(self) -> None:
        sizes, vocabulary = self.sizes, self.vocabulary
        if not sizes or not all(1 <= n <= _MOST_ATOMS and count >= 0 for n, count in sizes.items()):
            raise ValueError(f"got the sizes {str(dict(sizes))[:80]}; expected numbers of 1 to {_MOST_ATOMS} atoms")
        if not sum(sizes.values()) > 0:
            raise ValueError(f"got {sum(sizes.values())} molecules in all; expected at least one")
        for name, classes in (("atom_types", "elements"), ("charges", "charges"), ("bond_types", "bond_orders")):
            shares, expected = getattr(self, name), len(getattr(vocabulary, classes))
            if len(shares) != expected or not all(0 <= s <= 1 for s in shares) or not 0.99 < sum(shares) < 1.01:
                raise ValueError(f"got {name} {str(shares)[:80]}; expected {expected} shares that add up to 1")
        if not 0 <= self.position_std < math.inf:
            raise ValueError(f"got a position_std of {self.position_std}; expected a length in Å")


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / max(1, sum(weights))


def _mean_shares(shares: Sequence[tuple[float, ...]], weights: Sequence[int]) -> tuple[float, ...]:
    """Of what was counted so often; if nothing was counted anywhere, that of the first."""
    if not sum(weights):
        return shares[0]
    return tuple(_mean(values, weights) for values in zip(*shares, strict=True))


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
