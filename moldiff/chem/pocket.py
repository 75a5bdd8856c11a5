"""The heavy atoms of a protein, or of the part of it around a ligand, as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from moldiff.chem.residues import BACKBONE, atom_class, residue_classes

RADIUS = 10.0  # Å; what data sets of pockets usually take


@dataclass(frozen=True, eq=False)
class Pocket:
    """M heavy atoms of R residues, residue after residue. A whole protein is a pocket too.

    The label of a residue is its chain, number and insertion code as in the file: "A:123", "A:123B", "A:-3".

    Raises:
        ValueError: if shapes do not fit together, a residue is without atoms, or a label comes twice.
    """

    positions: NDArray[np.float64]  # (M, 3), Å, in the frame of the file
    atomic_numbers: NDArray[np.int64]  # (M,)
    atom_names: NDArray[np.str_]  # (M,), "CA", "OD1", ...
    residue_names: NDArray[np.str_]  # (M,), "ALA", ... or "UNK"
    residue_index: NDArray[np.int64]  # (M,), from 0 to R-1, never falling
    residue_labels: tuple[str, ...]  # (R,)

    def __post_init__(self) -> None:
        """Check the shapes."""
        m = len(self.positions)
        for field in fields(self)[:-1]:
            expected = (m, 3) if field.name == "positions" else (m,)
            if (got := getattr(self, field.name).shape) != expected:
                raise ValueError(f"Pocket.{field.name}: got shape {got}; expected {expected} for {m} atoms")
        if not np.array_equal(np.unique(self.residue_index), np.arange(self.num_residues)) or (
            (np.diff(self.residue_index) < 0).any()
        ):
            raise ValueError(
                f"Pocket.residue_index: expected 0 to {self.num_residues - 1}, each at least once, in order"
            )
        if len(set(self.residue_labels)) < self.num_residues:
            twice = next(label for label in self.residue_labels if self.residue_labels.count(label) > 1)
            raise ValueError(f"Pocket.residue_labels: got {twice} twice; expected each residue once")

    def __len__(self) -> int:
        """Number of atoms M."""
        return len(self.positions)

    @property
    def num_residues(self) -> int:
        """Number of residues R."""
        return len(self.residue_labels)

    def atom_classes(self) -> NDArray[np.int64]:
        """Classes (M,) of the atoms: places in `moldiff.chem.residues.ATOM_CLASSES`."""
        columns = (self.residue_names.tolist(), self.atom_names.tolist(), self.atomic_numbers.tolist())
        return np.array([atom_class(*atom) for atom in zip(*columns, strict=True)], dtype=np.int64)

    def residue_classes(self) -> NDArray[np.int64]:
        """Classes (R,) of the residues: places in `moldiff.chem.residues.RESIDUES`, 20 for any other."""
        return residue_classes(self.residue_names[self._first_atoms()])

    def residue_positions(self) -> NDArray[np.float64]:
        """Cα of each residue (R, 3) in Å; where the file lacks it, the mean of the residue's atoms."""
        means = self._means(np.full(len(self), True))
        is_alpha = self.atom_names == "CA"
        means[self.residue_index[is_alpha]] = self.positions[is_alpha]
        return means

    def residue_directions(self) -> NDArray[np.float64]:
        """From Cα to the mean of the side chain's atoms (R, 3) in Å; zeros for glycine and where atoms are missing."""
        side = ~np.isin(self.atom_names, (*BACKBONE, "OXT"))
        known = np.zeros(self.num_residues, dtype=bool)
        known[self.residue_index[self.atom_names == "CA"]] = True
        known &= np.bincount(self.residue_index[side], minlength=self.num_residues) > 0
        return np.where(known[:, None], self._means(side) - self.residue_positions(), 0.0)

    def take(self, residues: ArrayLike) -> Pocket:
        """Some of the residues, in the order of this pocket.

        Args:
            residues: (R,) bool, or places of residues.
        """
        chosen = np.zeros(self.num_residues, dtype=bool)
        chosen[np.asarray(residues)] = True
        atoms = chosen[self.residue_index]
        place = np.cumsum(chosen) - 1
        return Pocket(
            self.positions[atoms],
            self.atomic_numbers[atoms],
            self.atom_names[atoms],
            self.residue_names[atoms],
            place[self.residue_index[atoms]],
            tuple(np.array(self.residue_labels, dtype=object)[chosen]),
        )

    def distances(self, points: ArrayLike) -> NDArray[np.float64]:
        """Distance (R,) in Å of the nearest atom of each residue to the nearest of the points, (K, 3) or (3,)."""
        nearest, _ = cKDTree(np.atleast_2d(np.asarray(points, dtype=np.float64))).query(self.positions)
        out = np.full(self.num_residues, np.inf)
        np.minimum.at(out, self.residue_index, nearest)
        return out

    def _first_atoms(self) -> NDArray[np.int64]:
        return np.searchsorted(self.residue_index, np.arange(self.num_residues))

    def _means(self, atoms: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean position of the given atoms of each residue; zeros where there are none."""
        sums = np.zeros((self.num_residues, 3))
        np.add.at(sums, self.residue_index[atoms], self.positions[atoms])
        counts = np.bincount(self.residue_index[atoms], minlength=self.num_residues)
        return sums / np.maximum(counts, 1)[:, None]


def select_pocket(
    protein: Pocket, near: ArrayLike | None = None, residues: Sequence[str] | None = None, radius: float = RADIUS
) -> Pocket:
    """The residues around a ligand, around a point, or by name, with all their atoms, in the protein's order.

    Args:
        protein: what to select from.
        near: heavy atoms of the ligand (K, 3), or one point (3,), in Å: residues with any heavy atom within `radius` of
            any of them are taken.
        residues: labels of residues, such as "A:123" or "A:123B"; these residues alone are taken.
        radius: in Å.

    Raises:
        ValueError: if not exactly one of `near` and `residues` is given, no residue is near (the distance of the
            nearest is told), a residue is not there (similar labels are told), or coordinates are not finite.
    """
    if (near is None) == (residues is None):
        raise ValueError(
            "Got both or none of points and residues; expected either points that the pocket is near, or residues"
        )
    if residues is not None:
        return protein.take(_places(protein, residues))
    points = np.asarray(near, dtype=np.float64)
    if points.size == 0 or points.shape[-1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"Got points of shape {points.shape} to select a pocket; expected finite x, y, z in Å")
    if not radius > 0:
        raise ValueError(f"Got a radius of {radius} Å; expected a positive one")
    distances = protein.distances(points)
    if not (distances <= radius).any():
        nearest = int(distances.argmin())
        raise ValueError(
            f"No protein atom is within {radius:g} Å: the nearest is {distances[nearest]:.1f} Å away, in residue "
            f"{protein.residue_labels[nearest]}. Are both in the same frame of coordinates?"
        )
    return protein.take(distances <= radius)


def _places(protein: Pocket, labels: Sequence[str]) -> list[int]:
    places = {label: place for place, label in enumerate(protein.residue_labels)}
    if not labels:
        raise ValueError("Got an empty list of residues; expected labels such as A:123")
    for label in labels:
        if label not in places:
            near = get_close_matches(label, protein.residue_labels, n=5, cutoff=0.5) or protein.residue_labels[:5]
            raise ValueError(
                f"The protein has no residue {label!r}; expected chain:number with insertion code, such as "
                f"{', '.join(near)}"
            )
    return [places[label] for label in labels]
