"""How many atoms ligands have, given how much of the pocket lies near their middle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from moldiff.data.pocket_batch import Level
from moldiff.data.pocket_table import PocketTable
from moldiff.data.table import MoleculeTable

RADIUS: dict[Level, float] = {"atom": 6.0, "residue": 8.0}  # Å; residues tell next to nothing of the size
_BINS, _WIDTH = 6, 3.0  # bins of counts; standard deviation of the kernel that smooths sizes, atoms
_COMMON = 10.0  # complexes' worth of the histogram of all complexes in that of each bin


@dataclass(frozen=True)
class PocketSizes:
    """Histograms of the sizes of ligands, for bins of the number of points of the pocket near the ligand's middle.

    Points are those that the model sees, atoms or residues. The middle of a large ligand is often far from the protein,
    that of a small one in a narrow pocket is not.
    """

    radius: float  # Å, within which points are counted
    edges: tuple[int, ...]  # the smallest count of each bin but the first
    histograms: tuple[Mapping[int, float], ...]  # of each bin: heavy atoms -> number of ligands, or their weight

    @classmethod
    def of(cls, ligands: MoleculeTable, pockets: PocketTable, weights: Sequence[float] | None = None) -> PocketSizes:
        """Count them in a data set.

        Args:
            ligands: `index` names the pocket of each.
            pockets: in the frame of the ligands.
            weights: what each ligand counts; 1 if not given.
        """
        radius, sizes = RADIUS[pockets.level], ligands.sizes.numpy()
        counts = np.zeros(len(ligands), dtype=np.int64)
        for k, place in enumerate(ligands.index.tolist()):
            middle = ligands.pos[ligands.ptr[k] : ligands.ptr[k + 1]].mean(0)
            counts[k] = _near(pockets.pos[pockets.ptr[place] : pockets.ptr[place + 1]], middle, radius)
        quantiles = np.quantile(counts, np.arange(1, _BINS) / _BINS, method="higher")
        edges = [edge for edge in np.unique(quantiles).tolist() if edge > counts.min()]
        bins, weight = np.searchsorted(edges, counts, side="right"), np.ones(len(ligands))
        weight = weight if weights is None else np.asarray(weights, dtype=np.float64)
        histograms = []
        for k in range(len(edges) + 1):
            total = np.bincount(sizes[bins == k], weights=weight[bins == k])
            histograms.append({int(n): round(float(total[n]), 3) for n in np.flatnonzero(total)})
        return cls(radius, tuple(map(int, edges)), tuple(histograms))

    def histogram(self, points: Tensor, centre: Tensor) -> dict[int, float]:
        """Number of heavy atoms -> weight, for ligands about a centre (3,) among the points (M, 3) of a pocket, in Å.

        That of the centre's bin, smoothed, with a little of that of all complexes.
        """
        place = int(np.searchsorted(self.edges, _near(points, centre, self.radius), side="right"))
        sizes = np.arange(min(map(min, self.histograms)), max(map(max, self.histograms)) + 1)
        each = np.stack([_smoothed(histogram, sizes) for histogram in self.histograms])
        mixed = each[place] + _COMMON * each.sum(0) / each.sum()
        return dict(zip(sizes.tolist(), mixed.tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries and numbers, to be written as YAML or JSON."""
        return {"radius": self.radius, "edges": list(self.edges), "histograms": [dict(h) for h in self.histograms]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PocketSizes:
        """Undo `to_dict`, also after a way through JSON, which turns the sizes into strings.

        Raises:
            ValueError: if there is not one histogram more than edges, or an empty one.
        """
        histograms = tuple({int(n): float(w) for n, w in h.items()} for h in values["histograms"])
        if len(histograms) != len(values["edges"]) + 1 or not all(histograms):
            raise ValueError(
                f"got {len(histograms)} histograms of sizes in pockets for {len(values['edges'])} edges; expected one "
                "more than edges, none of them empty"
            )
        return cls(values["radius"], tuple(values["edges"]), histograms)


def _near(points: Tensor, centre: Tensor, radius: float) -> int:
    return int(((points - centre).square().sum(-1) <= radius**2).sum())


def _smoothed(histogram: Mapping[int, float], sizes: np.ndarray) -> np.ndarray:
    """The same weight for each ligand, spread over similar sizes."""
    known = np.array(list(histogram))
    kernel = np.exp(-((sizes[:, None] - known) ** 2) / (2 * _WIDTH**2))
    smoothed: np.ndarray = kernel / kernel.sum(0) @ np.array(list(histogram.values()))
    return smoothed
