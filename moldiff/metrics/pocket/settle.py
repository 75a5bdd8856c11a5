"""Poses that Vina likes better, without the tension that it does not see: `moldiff relax --vina`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rdkit import Chem

from moldiff.metrics.pocket.protein import read_protein
from moldiff.metrics.pocket.validity import sanitized
from moldiff.metrics.pocket.vina import VinaPocket

MAX_EXTENT = 60.0
"""Å: molecules that lie further apart are not in one pocket, and the grid of energies would be large."""


def vina_minimiser(molecules: Sequence[Chem.Mol], pocket: Path | None) -> Callable[[Chem.Mol], Chem.Mol]:
    """What moves a molecule to Vina's next minimum, with a grid of energies around all molecules.

    Args:
        molecules: with coordinates in Å, in the pocket.
        pocket: .pdb file of a protein in the same frame.

    Returns:
        A function of a molecule, sanitized or not; it raises ValueError for what cannot be moved.

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError: if the packages vina or meeko are missing.
        ValueError: if no file is given, it cannot be read, or the molecules do not lie in one pocket.
    """
    if pocket is None:
        raise ValueError("Vina needs a protein: give --pocket, a .pdb file")
    protein = read_protein(pocket)
    places = [mol.GetConformer().GetPositions() for mol in molecules]
    points = np.concatenate([*places, np.empty((0, 3))])
    points = points[np.isfinite(points).all(1)]
    if (extent := float(np.ptp(points, axis=0).max())) > MAX_EXTENT:
        raise ValueError(
            f"Got molecules that lie up to {extent:.0f} Å apart; expected molecules in one pocket, {MAX_EXTENT:g} Å "
            "at most: relax those of each pocket by themselves"
        )
    vina = VinaPocket.around(protein, points)
    return lambda mol: vina.minimised_pose(sanitized(mol))
