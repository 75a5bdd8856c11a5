"""Draws one molecule as balls and sticks into an image: shaded spheres and cylinders with a depth buffer, in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from moldiff.chem.assignment import covalent_radii

Image = NDArray[np.float64]
"""(H, W, 3) RGB between 0 and 1; row 0 is the top."""

_COLOURS = {  # after Corey, Pauling and Koltun, softened
    1: "#f2f2f2", 5: "#f0a890", 6: "#50555c", 7: "#3d6be0", 8: "#e23b33", 9: "#86cf4e", 14: "#d9b98c", 15: "#f08a24",
    16: "#ebc334", 17: "#3fbf4a", 35: "#a0442f", 53: "#8a3fa8",
}  # fmt: skip
_OTHER_COLOUR = "#d86fb5"
_STICK_RADIUS = {1: 0.10, 2: 0.075, 3: 0.06}  # Å, of each of the parallel sticks of a bond
_STICK_GAP = {1: 0.0, 2: 0.22, 3: 0.19}  # Å, between their axes
_LIGHT = np.array([-0.45, 0.6, 0.66]) / np.linalg.norm([-0.45, 0.6, 0.66])
_HALFWAY = (_LIGHT + np.array([0, 0, 1])) / np.linalg.norm(_LIGHT + np.array([0, 0, 1]))  # between light and viewer
_OUTLINE_DEPTH = 0.25  # Å: a jump in depth that is drawn as a line
_FOG = 0.38  # how far the rearmost atom fades into the background


@dataclass(frozen=True)
class _Canvas:
    """What is nearest to the viewer at each pixel; x to the right, y up, z towards the viewer, in Å."""

    x: NDArray[np.float64]  # (W,)
    y: NDArray[np.float64]  # (H,)
    depth: NDArray[np.float64]  # (H, W), -inf where nothing is
    normal: NDArray[np.float64]  # (H, W, 3)
    colour: NDArray[np.float64]  # (H, W, 3)


def viewing_rotation(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3), for positions @ rotation: longest axis to the right, shortest to the viewer, then slightly tilted."""
    axes = np.linalg.svd(positions - positions.mean(0), full_matrices=True)[2]
    axes[2] = np.cross(axes[0], axes[1])  # a rotation: a reflection would show the wrong enantiomer
    about_x, about_y = np.radians(-18.0), np.radians(14.0)
    tilt_x = np.array([[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]])
    tilt_y = np.array([[np.cos(about_y), 0, np.sin(about_y)], [0, 1, 0], [-np.sin(about_y), 0, np.cos(about_y)]])
    return np.asarray(axes.T @ tilt_x.T @ tilt_y.T)


def viewing_positions(mol: Chem.Mol, turn: bool = True) -> NDArray[np.float64]:
    """(N, 3) in Å: centred; if `turn`, turned by `viewing_rotation`."""
    positions = mol.GetConformer().GetPositions()
    positions = positions - positions.mean(0)
    return np.asarray(positions @ viewing_rotation(positions) if turn else positions)


def draw_molecule(
    mol: Chem.Mol, size: int = 300, half_width: float | None = None, supersampling: int = 3, turn: bool = True
) -> Image:
    """A square image of a molecule on white.

    Args:
        mol: with coordinates; bonds as they are, aromatic ones as double bonds.
        size: width and height in pixels.
        half_width: of the view, in Å; by default the molecule fills the image.
        supersampling: pixels are averages of this many squared.
        turn: to its broad side; if not, x points to the right and y up.

    Raises:
        ValueError: if the molecule has no atoms or no coordinates, or they are not finite.
    """
    if not mol.GetNumAtoms() or not mol.GetNumConformers() or not np.isfinite(mol.GetConformer().GetPositions()).all():
        raise ValueError("Got a molecule without atoms or finite coordinates; expected a conformer to draw")
    positions = viewing_positions(mol, turn)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    half_width = max(view_extent(positions)) if half_width is None else half_width
    pixels = size * supersampling
    grid = (np.arange(pixels) + 0.5) / pixels * 2 * half_width - half_width
    shape = (pixels, pixels)
    canvas = _Canvas(grid, grid[::-1], np.full(shape, -np.inf), np.zeros((*shape, 3)), np.ones((*shape, 3)))
    colours = np.array([_rgb(_COLOURS.get(int(number), _OTHER_COLOUR)) for number in numbers])
    for atom, radius in enumerate(_ball_radii(numbers)):
        _draw_ball(canvas, positions[atom], radius, colours[atom])
    for bond in mol.GetBonds():
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        order = min(3, max(1, round(bond.GetBondTypeAsDouble() + 0.1)))
        across = _across(
            positions,
            a,
            b,
            [n.GetIdx() for n in (*mol.GetAtomWithIdx(a).GetNeighbors(), *mol.GetAtomWithIdx(b).GetNeighbors())],
        )
        for k in range(order):
            shift = (k - (order - 1) / 2) * _STICK_GAP[order] * across
            _draw_stick(canvas, positions[[a, b]] + shift, _STICK_RADIUS[order], colours[[a, b]])
    image = _shade(canvas)
    return np.asarray(image.reshape(size, supersampling, size, supersampling, 3).mean((1, 3)))


def view_extent(positions: NDArray[np.float64]) -> tuple[float, float]:
    """Half the width and half the height in Å of a view that holds all atoms at `positions` (N, 3), with a margin."""
    x, y = np.abs(positions[:, :2]).max(0) + 0.55
    return float(x), float(y)


def _ball_radii(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.minimum(0.16 + 0.26 * covalent_radii()[numbers], 0.5)  # within the margin of the view


def _across(positions: NDArray[np.float64], a: int, b: int, neighbours: list[int]) -> NDArray[np.float64]:
    """The unit vector along which the sticks of a multiple bond lie side by side: in the plane of the neighbours."""
    along = positions[b] - positions[a]
    along = along / max(float(np.linalg.norm(along)), 1e-9)
    candidates = [positions[n] - positions[a] for n in neighbours if n not in (a, b)]
    for direction in [*candidates, np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])]:
        direction = direction - (direction @ along) * along
        if np.linalg.norm(direction) > 0.3:
            return np.asarray(direction / np.linalg.norm(direction))
    return np.zeros(3)


def _draw_ball(canvas: _Canvas, centre: NDArray[np.float64], radius: float, colour: NDArray[np.float64]) -> None:
    rows, columns = _window(canvas, centre[None], radius)
    dx = canvas.x[None, columns] - centre[0]
    dy = canvas.y[rows, None] - centre[1]
    square = radius**2 - dx**2 - dy**2
    height = np.sqrt(np.maximum(square, 0.0))
    normal = np.stack(np.broadcast_arrays(dx, dy, height), -1) / radius
    _put(canvas, rows, columns, np.where(square > 0, centre[2] + height, -np.inf), normal, colour)


def _draw_stick(canvas: _Canvas, ends: NDArray[np.float64], radius: float, colours: NDArray[np.float64]) -> None:
    """A cylinder between `ends` (2, 3), half in each of `colours` (2, 3): where rays along z meet it first."""
    length = float(np.linalg.norm(ends[1] - ends[0]))
    axis = (ends[1] - ends[0]) / max(length, 1e-9)
    a = 1.0 - axis[2] ** 2
    if a < 1e-6:  # seen end on: hidden behind its atom
        return
    rows, columns = _window(canvas, ends, radius)
    qx, qy = np.broadcast_arrays(canvas.x[None, columns] - ends[0, 0], canvas.y[rows, None] - ends[0, 1])
    along = qx * axis[0] + qy * axis[1]
    b = along * axis[2]
    discriminant = b**2 - a * (qx**2 + qy**2 - along**2 - radius**2)
    z = (b + np.sqrt(np.maximum(discriminant, 0.0))) / a
    place = along + z * axis[2]  # Å along the axis
    hit = (discriminant > 0) & (place >= 0) & (place <= length)
    normal = (np.stack([qx, qy, z], -1) - place[..., None] * axis) / radius
    colour = np.where(place[..., None] < length / 2, colours[0], colours[1])
    _put(canvas, rows, columns, np.where(hit, ends[0, 2] + z, -np.inf), normal, colour)


def _window(canvas: _Canvas, points: NDArray[np.float64], radius: float) -> tuple[slice, slice]:
    """Rows and columns of the pixels within `radius` of the box around `points` (K, 3)."""
    low, high = points.min(0) - radius, points.max(0) + radius
    columns = np.searchsorted(canvas.x, [low[0], high[0]])
    rows = np.searchsorted(-canvas.y, [-high[1], -low[1]])
    return slice(*rows.tolist()), slice(*columns.tolist())


def _put(
    canvas: _Canvas,
    rows: slice,
    columns: slice,
    depth: NDArray[np.float64],
    normal: NDArray[np.float64],
    colour: NDArray[np.float64],
) -> None:
    nearer = depth > canvas.depth[rows, columns]
    canvas.depth[rows, columns][nearer] = depth[nearer]
    canvas.normal[rows, columns][nearer] = normal[nearer]
    canvas.colour[rows, columns][nearer] = np.broadcast_to(colour, normal.shape)[nearer]


def _shade(canvas: _Canvas) -> Image:
    drawn = np.isfinite(canvas.depth)
    diffuse = np.maximum(canvas.normal @ _LIGHT, 0.0)
    highlight = np.maximum(canvas.normal @ _HALFWAY, 0.0) ** 50
    rim = 0.55 + 0.45 * np.maximum(canvas.normal[..., 2], 0.0)  # darker where the surface turns away
    image = canvas.colour * ((0.46 + 0.62 * diffuse) * rim)[..., None] + 0.38 * highlight[..., None]
    depth = np.where(drawn, canvas.depth, canvas.depth[drawn].min() - 10.0)
    line = np.zeros_like(depth)
    for axis in (0, 1):
        for step in (-1, 1):
            line = np.maximum(line, np.roll(depth, step, axis) - depth > _OUTLINE_DEPTH)
    image = image * (1.0 - 0.75 * (line * drawn))[..., None]
    near, far = canvas.depth[drawn].max(), canvas.depth[drawn].min()
    fog = _FOG * (near - depth) / max(near - far, 3.0)
    image = np.clip(image, 0.0, 1.0) * (1 - fog[..., None]) + fog[..., None]
    return np.where(drawn[..., None], image, 1.0)


def _rgb(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
