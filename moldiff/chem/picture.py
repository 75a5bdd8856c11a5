"""A picture of several molecules in 3D, side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem

from moldiff.chem.raster import draw_molecule, view_extent, viewing_positions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100


def grid_picture(
    mols: Sequence[Chem.Mol | None],
    path: str | os.PathLike[str] | None = None,
    columns: int = 5,
    titles: Sequence[str] | None = None,
    size: int = 240,
    same_scale: bool = True,
    turn: bool = True,
) -> Figure:
    """Draw molecules as balls and sticks in a grid; a notebook shows the figure that is returned.

    Args:
        mols: with coordinates; the place of a molecule that is None, or has no finite coordinates, stays empty.
        path: a .png file to write (an existing one is replaced), or None.
        columns: number of molecules in a row.
        titles: one line below each molecule.
        size: width and height of each molecule's square in pixels.
        same_scale: an Ångström is as long in all squares, so that sizes can be compared.
        turn: each molecule to its broad side; if not, x points to the right and y up, as in frames of one molecule.

    Raises:
        ValueError: if there are no molecules, or the number of titles is another.
    """
    from moldiff.chem.figure import Picture

    if not mols:
        raise ValueError("Got no molecules to draw; expected at least one")
    if titles is not None and len(titles) != len(mols):
        raise ValueError(f"Got {len(titles)} titles for {len(mols)} molecules; expected one each")
    drawable = [mol if is_drawable(mol) else None for mol in mols]
    columns = min(columns, len(mols))
    rows = -(-len(mols) // columns)
    extents = (
        np.array([view_extent(viewing_positions(mol, turn)) for mol in drawable if mol is not None])
        .reshape(-1, 2)
        .max(0, initial=1.0)
    )
    half_width = float(extents.max()) if same_scale else None
    # Molecules lie along the horizontal axis; at one scale, what stays empty above and below all of them is cut off.
    tall = min(size, round(size * float(extents[1] / extents.max()))) if same_scale else size
    strip = 0 if titles is None else 22  # pixels for a title
    width, height = columns * size, rows * (tall + strip)
    figure = Picture(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    canvas = np.ones((height, width, 3))
    for k, mol in enumerate(drawable):
        row, column = divmod(k, columns)
        top, left = row * (tall + strip), column * size
        if mol is not None:
            cut = (size - tall) // 2
            canvas[top : top + tall, left : left + size] = draw_molecule(mol, size, half_width, turn=turn)[
                cut : cut + tall
            ]
        if titles is not None:
            x, y = (left + size / 2) / width, 1 - (top + tall + strip / 3) / height
            figure.text(x, y, titles[k], ha="center", va="center", fontsize=9, color="#444444")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), zorder=-1)
    axes.imshow(canvas, extent=(0, width, 0, height), aspect="auto", interpolation="none")
    axes.set_axis_off()
    if path is not None:
        figure.savefig(path, dpi=_DPI)
    return figure


def is_drawable(mol: Chem.Mol | None) -> bool:
    """Whether it has atoms with finite coordinates."""
    if mol is None or not mol.GetNumAtoms() or not mol.GetNumConformers():
        return False
    return bool(np.isfinite(mol.GetConformer().GetPositions()).all())
