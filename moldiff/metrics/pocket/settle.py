"""Poses without tension, and those that Vina likes better, without the tension that it does not see."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from moldiff.chem.force_field import NEAR, is_near, relax
from moldiff.chem.pocket import Pocket
from moldiff.metrics.pocket.protein import Protein, read_protein
from moldiff.metrics.pocket.validity import sanitized
from moldiff.metrics.pocket.vina import VinaPocket

_logger = logging.getLogger(__name__)

MAX_EXTENT = 60.0
"""Å: molecules that lie further apart are not in one pocket, and the grid of energies would be large."""


@dataclass(frozen=True)
class Settler:
    """Relaxes molecules, alone or in a pocket.

    Args:
        pocket: which the molecules lie in.
        vina: the same pocket; if it is given, relaxed molecules are moved to the next minimum of Vina's energy, and
            relaxed there.
    """

    pocket: Pocket | None = None
    vina: VinaPocket | None = None

    def settled(self, mol: Chem.Mol) -> Chem.Mol:
        """A copy of a molecule with bonds and coordinates in Å, sanitized or not, in its new place.

        Raises:
            ValueError: why it cannot be relaxed or moved, or that it is not near the pocket.
        """
        if self.pocket is not None and not is_near(mol, self.pocket.positions):
            raise ValueError(f"not within {NEAR:g} Å of the protein")
        relaxed = relax(mol, self.pocket).mol
        if self.vina is None:
            return relaxed
        return relax(self.vina.minimised_pose(sanitized(relaxed)), self.pocket).mol


def tell_of_others(protein: Protein, points: NDArray[np.float64]) -> None:
    """Warn of what is near points (N, 3), in Å, and that Vina heeds, though it is no amino acid."""
    if others := protein.others_near(points, NEAR):
        _logger.warning(
            "%s: Vina heeds what is no amino acid, too: %s; take it out of the file if it should not be there",
            protein.name,
            others,
        )


def vina_around(molecules: Sequence[Chem.Mol], pocket: Path | None) -> VinaPocket:
    """Vina with a grid of energies around all molecules.

    Args:
        molecules: with coordinates in Å, in the pocket.
        pocket: .pdb file of a protein in the same frame.

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError: if the packages vina or meeko are missing.
        ValueError: if no file is given, it cannot be read or holds one of the molecules, or these do not lie in one
            pocket.
    """
    if pocket is None:
        raise ValueError("Vina needs a protein: give --pocket, a .pdb file")
    protein = read_protein(pocket)
    for mol in molecules:
        protein.check_apart(mol)
    places = [mol.GetConformer().GetPositions() for mol in molecules]
    points = np.concatenate([*places, np.empty((0, 3))])
    points = points[np.isfinite(points).all(1)]
    tell_of_others(protein, points)
    if (extent := float(np.ptp(points, axis=0).max())) > MAX_EXTENT:
        raise ValueError(
            f"Got molecules that lie up to {extent:.0f} Å apart; expected molecules in one pocket, {MAX_EXTENT:g} Å "
            "at most: relax those of each pocket by themselves"
        )
    return VinaPocket.around(protein, points)
