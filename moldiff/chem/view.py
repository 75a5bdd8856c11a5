"""Molecules that can be turned in a notebook, by py3Dmol; they are seen without network, and in saved notebooks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from rdkit import Chem

from moldiff.chem.arrays import kekulized
from moldiff.chem.picture import is_drawable
from moldiff.chem.raster import viewing_positions

if TYPE_CHECKING:
    import py3Dmol

_STYLE = {"stick": {"radius": 0.13}, "sphere": {"scale": 0.23}}


def viewer_asset(name: str) -> str:
    """The text of a file of 3Dmol.js, which comes with the package: `3Dmol-min.js`, or `3Dmol-LICENSE.txt`."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def view_3d(mols: Sequence[Chem.Mol | None], columns: int = 4, size: int = 220) -> py3Dmol.view:
    """Molecules in a grid; each turns by itself when the mouse is drawn over it.

    Args:
        mols: with coordinates; the place of a molecule that is None, or has no finite coordinates, stays empty.
        columns: number of molecules in a row.
        size: width and height of each molecule's square in pixels.

    Returns:
        A view that a notebook shows, and that all of py3Dmol's methods can be called on; `write_html("file.html")`
        makes a page of it.

    Raises:
        ValueError: if there are no molecules.
        ModuleNotFoundError: if py3Dmol is not installed.
    """
    if not mols:
        raise ValueError("Got no molecules to show; expected at least one")
    columns = min(columns, len(mols))
    rows = -(-len(mols) // columns)
    view = _empty(columns * size, rows * size, (rows, columns))
    for place, mol in enumerate(mols):
        if mol is not None and is_drawable(mol):
            view.addModel(_record(mol, turn=True), "sdf", viewer=divmod(place, columns))
    view.setStyle(_STYLE)
    view.zoomTo()
    return view


def movie_3d(frames: Sequence[Chem.Mol], size: int = 400, interval_ms: int = 150) -> py3Dmol.view:
    """A molecule whose atoms move, over and over, each frame with its own elements and bonds; it can be turned.

    Args:
        frames: with coordinates, and the same number of atoms.
        size: width and height in pixels.
        interval_ms: time that a frame is shown, in milliseconds.

    Returns:
        See `view_3d`.

    Raises:
        ValueError: if there are no frames, one of them cannot be drawn, or they differ in their numbers of atoms.
        ModuleNotFoundError: if py3Dmol is not installed.
    """
    if not frames:
        raise ValueError("Got no frames to show; expected at least one")
    wrong = [k for k, mol in enumerate(frames) if not is_drawable(mol) or mol.GetNumAtoms() != frames[0].GetNumAtoms()]
    if wrong:
        raise ValueError(
            f"Frame {wrong[0]} of {len(frames)} has no finite coordinates, or another number of atoms than the first; "
            "expected frames of one molecule: leave it out"
        )
    view = _empty(size, size)
    view.addModelsAsFrames("".join(_record(mol, turn=False) for mol in frames), "sdf")
    view.animate({"loop": "forward", "interval": interval_ms})
    view.setStyle(_STYLE)
    view.zoomTo()
    return view


def _empty(width: int, height: int, grid: tuple[int, int] | None = None) -> py3Dmol.view:
    try:
        import py3Dmol
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Views in 3D need the package py3Dmol, which is not installed: pip install 'moldiff[notebooks]'"
        ) from error
    return py3Dmol.view(width=width, height=height, viewergrid=grid, linked=False, js=_inline_script())


def _record(mol: Chem.Mol, turn: bool) -> str:
    """Elements, bonds and coordinates alone, as an SDF record: names and properties of a file may hold scripts."""
    source = kekulized(mol) or mol
    bare = Chem.RWMol()
    for atom in source.GetAtoms():
        bare.AddAtom(Chem.Atom(atom.GetAtomicNum()))
    for bond in source.GetBonds():
        bare.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondType())
    conformer = Chem.Conformer(source.GetNumAtoms())
    conformer.SetPositions(viewing_positions(source, turn))
    bare.AddConformer(conformer, assignId=True)
    return f"{Chem.MolToMolBlock(bare, includeStereo=False, kekulize=False)}$$$$\n"


@cache
def _inline_script() -> str:
    """3Dmol.js as an address that holds the script itself: py3Dmol would fetch it from the network."""
    return "data:text/javascript;base64," + base64.b64encode(viewer_asset("3Dmol-min.js").encode()).decode()
