"""Which elements, formal charges and bond orders a data set or a model knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import GetPeriodicTable


@dataclass(frozen=True)
class Vocabulary:
    """The classes of the categorical fields of a molecule.

    The class index of an atom's type is its place in `elements`, that of its charge its place in `charges`; the class
    index of a bond is its Kekulé order itself (0 = no bond).

    Raises:
        ValueError: if an element is unknown to RDKit, an entry is listed twice, or `bond_orders` is not 0, 1, 2, ...
    """

    elements: tuple[str, ...]
    charges: tuple[int, ...] = (-1, 0, 1)
    bond_orders: tuple[int, ...] = (0, 1, 2, 3)

    def __post_init__(self) -> None:
        """Turn lists (as they come from YAML) into tuples and check the entries."""
        for name in ("elements", "charges", "bond_orders"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"Vocabulary.{name}: got {values}; expected at least one entry and none twice")
        if self.bond_orders != tuple(range(len(self.bond_orders))):
            raise ValueError(f"Vocabulary.bond_orders: got {self.bond_orders}; expected 0, 1, 2, ... without gaps")
        _ = self.atomic_numbers  # raises on an unknown symbol

    @classmethod
    def from_values(cls, atomic_numbers: Iterable[int], charges: Iterable[int]) -> Vocabulary:
        """The vocabulary of the values in a data set: elements by atomic number, charges with 0 always among them."""
        table = GetPeriodicTable()
        elements = tuple(table.GetElementSymbol(z) for z in sorted({int(number) for number in atomic_numbers}))
        return cls(elements, tuple(sorted({0} | {int(charge) for charge in charges})))

    def difference(self, other: Vocabulary) -> str:
        """What another vocabulary has and lacks, in words."""
        words = []
        for name in ("elements", "charges", "bond_orders"):
            mine, its = getattr(self, name), getattr(other, name)
            for verb, some in (("lack", set(mine) - set(its)), ("have", set(its) - set(mine))):
                if some:
                    words.append(f"they {verb} the {name.replace('_', ' ')} {', '.join(map(str, sorted(some)))}")
        return " and ".join(words) or "the same classes in another order"

    @property
    def atomic_numbers(self) -> tuple[int, ...]:
        """The atomic number of each element."""
        return tuple(_atomic_number(symbol) for symbol in self.elements)

    @property
    def hydrogens(self) -> bool:
        """Whether hydrogens are atoms of the molecules; if not, they are implicit."""
        return "H" in self.elements

    def element_index(self, elements: Sequence[str] | Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
        """Class indices (N,) of N elements, given as symbols or as atomic numbers.

        Raises:
            ValueError: naming the first element that is not in the vocabulary.
        """
        numbers = [_atomic_number(e) if isinstance(e, str) else int(e) for e in elements]
        return _lookup(numbers, self.atomic_numbers, f"elements {', '.join(self.elements)}", "atomic number")

    def charge_index(self, charges: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
        """Class indices (N,) of N formal charges.

        Raises:
            ValueError: naming the first charge that is not in the vocabulary.
        """
        return _lookup(charges, self.charges, f"charges {self.charges}", "formal charge")

    def to_dict(self) -> dict[str, list[Any]]:
        """Plain lists, to be written as YAML or JSON."""
        return {
            "elements": list(self.elements),
            "charges": list(self.charges),
            "bond_orders": list(self.bond_orders),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocabulary:
        """Undo `to_dict`."""
        return cls(**values)


@cache
def _numbers_of_symbols() -> dict[str, int]:
    table = GetPeriodicTable()
    return {table.GetElementSymbol(number): number for number in range(1, 119)}


def _atomic_number(symbol: str) -> int:
    if symbol not in _numbers_of_symbols():
        raise ValueError(f"Element {symbol!r} is unknown; expected a symbol such as 'C' or 'Cl'")
    return _numbers_of_symbols()[symbol]


def _lookup(
    values: Sequence[int] | NDArray[Any], known: tuple[int, ...], expected: str, what: str
) -> NDArray[np.int64]:
    array = np.asarray(values, dtype=np.int64)
    order = np.argsort(known)
    ordered = np.asarray(known)[order]
    place = np.minimum(np.searchsorted(ordered, array), len(known) - 1)
    wrong = ordered[place] != array
    if wrong.any():
        raise ValueError(f"Got {what} {array[wrong][0]}; expected one of the vocabulary's {expected}")
    return order[place].astype(np.int64)


DRUG_VOCABULARY = Vocabulary(("C", "N", "O", "S", "P", "F", "Cl", "Br", "I", "B"))
"""Drug-like molecules without hydrogens: the elements of nearly all ligands of proteins, charges -1, 0 and 1."""
