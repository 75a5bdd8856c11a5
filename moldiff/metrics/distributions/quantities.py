"""What is counted in a molecule: lengths, angles and torsions by type, and kinds of atoms, bonds and rings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, compress

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from moldiff.chem.arrays import kekulized

_LINEAR = 5.0  # degrees: a torsion with an angle this close to 0 or 180 is noise, and is left out
_BONDS = {1.0: "-", 1.5: "~", 2.0: "=", 3.0: "#"}
Counts = dict[tuple[str, int], int]
"""(type, bin) -> how often it occurs in a molecule; the bin is 0 where a quantity has categories only."""


@dataclass(frozen=True)
class Quantity:
    """One distribution. With a `width` its values are numbers, which fall into bins; else it has categories."""

    name: str
    unit: str = ""
    width: float | None = None  # of a bin, in `unit`
    low: float = 0.0  # of the first bin; values outside fall into the first or last bin
    num_bins: int = 1

    def bins(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """The bin of each value."""
        assert self.width is not None
        places = np.floor((values - self.low) / self.width)
        return np.asarray(np.clip(places, 0, self.num_bins - 1), dtype=np.int64)


QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        Quantity("bond lengths", "Å", 0.001, 0.5, 3500),  # by elements and order: C=O
        Quantity("angles", "°", 0.5, 0.0, 361),  # by elements: H-C-H
        Quantity("torsions", "°", 1.0, 0.0, 181),  # without sign, by elements: H-C-C-O; a mirror image has the same
        Quantity("sizes", "atoms", 1.0, 0.0, 1000),
        Quantity("atom types"),  # elements
        Quantity("bond types"),  # elements and order: C=O
        Quantity("charges"),  # formal charges by element: N+1
        Quantity("valences"),  # sums of bond orders by element: C4
        Quantity("ring sizes"),  # of the smallest set of smallest rings
    )
}


def count_quantities(mol: Chem.Mol) -> dict[str, Counts]:
    """All quantities of one molecule, sanitized or not: bonds and charges as they are, aromatic ones in a Kekulé form.

    Without finite coordinates, lengths, angles and torsions are left out; without bonds, all that depends on them.
    """
    mol = kekulized(mol) or mol
    symbols = [atom.GetSymbol() for atom in mol.GetAtoms()]
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), _BONDS.get(b.GetBondTypeAsDouble(), "?")) for b in mol.GetBonds()]
    kinds = [(a, b, "".join(_one_way((symbols[a], order, symbols[b])))) for a, b, order in bonds]
    charged = [f"{s}{a.GetFormalCharge():+d}" for s, a in zip(symbols, mol.GetAtoms(), strict=True)]
    out: dict[str, Counts] = {
        "sizes": {("atoms", min(len(symbols), QUANTITIES["sizes"].num_bins - 1)): 1},
        "atom types": _categories(symbols),
        "charges": _categories([text.replace("+0", "") for text in charged]),
    }
    if bonds or len(symbols) == 1:
        orders = [0.0] * len(symbols)
        for bond in mol.GetBonds():
            orders[bond.GetBeginAtomIdx()] += bond.GetBondTypeAsDouble()
            orders[bond.GetEndAtomIdx()] += bond.GetBondTypeAsDouble()
        out["bond types"] = _categories([kind for _, _, kind in kinds])
        out["valences"] = _categories([f"{s}{total:g}" for s, total in zip(symbols, orders, strict=True)])
        out["ring sizes"] = _categories([str(len(ring)) for ring in Chem.GetSymmSSSR(Chem.Mol(mol))])
    if bonds and mol.GetNumConformers():
        positions = mol.GetConformer().GetPositions()
        if np.isfinite(positions).all():
            out |= _internal_coordinates(symbols, kinds, positions)
    return out


def _categories(names: list[str]) -> Counts:
    return {(name, 0): count for name, count in Counter(names).items()}


def _one_way(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The same name from both ends."""
    return min(parts, parts[::-1])


def _internal_coordinates(
    symbols: list[str], kinds: list[tuple[int, int, str]], x: NDArray[np.float64]
) -> dict[str, Counts]:
    neighbours: list[list[int]] = [[] for _ in symbols]
    for a, b, _ in kinds:
        neighbours[a].append(b)
        neighbours[b].append(a)
    pairs = np.array([(a, b) for a, b, _ in kinds])
    angles = [(a, centre, b) for centre, around in enumerate(neighbours) for a, b in combinations(around, 2)]
    torsions = list(_torsions(kinds, neighbours))
    found = {"bond lengths": ([kind for _, _, kind in kinds], np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1))}
    if angles:
        i, j, k = np.array(angles).T
        found["angles"] = (_names(symbols, angles), _angle(x[i] - x[j], x[k] - x[j]))
    if torsions:
        i, j, k, m = np.array(torsions).T
        bent = [_angle(x[i] - x[j], x[k] - x[j]), _angle(x[m] - x[k], x[j] - x[k])]
        keep = np.all([(angle > _LINEAR) & (angle < 180 - _LINEAR) for angle in bent], axis=0)
        axis = x[k] - x[j]
        values = _angle(np.cross(x[j] - x[i], axis), np.cross(axis, x[m] - x[k]))
        found["torsions"] = (list(compress(_names(symbols, torsions), keep)), values[keep])
    return {
        name: dict(Counter(zip(types, QUANTITIES[name].bins(values).tolist(), strict=True)))
        for name, (types, values) in found.items()
    }


def _torsions(kinds: list[tuple[int, int, str]], neighbours: list[list[int]]) -> Iterator[tuple[int, int, int, int]]:
    for j, k, _ in kinds:
        for i in neighbours[j]:
            for m in neighbours[k]:
                if i != k and m != j and i != m:
                    yield i, j, k, m


def _names(symbols: list[str], places: Sequence[tuple[int, ...]]) -> list[str]:
    return ["-".join(_one_way(tuple(symbols[place] for place in one))) for one in places]


def _angle(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle between vectors, (K, 3) each, in degrees from 0 to 180."""
    cross = np.linalg.norm(np.cross(u, v), axis=1)
    return np.asarray(np.degrees(np.arctan2(cross, (u * v).sum(1))))
