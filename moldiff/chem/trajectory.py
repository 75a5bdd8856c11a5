"""The way of one molecule from noise to data: frames, a file for molecular viewers, an animated picture."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from moldiff.chem.arrays import MoleculeArrays, pair_indices, to_mol
from moldiff.chem.files import MoleculeWriter, known_suffix
from moldiff.chem.raster import draw_molecule, view_extent, viewing_positions, viewing_rotation

WRITABLE = (".xyz", ".gif")
_STICK_LIMIT = 2.0  # Å: bonds of noisy molecules that are longer are not drawn
_HOLD = 2000  # ms that the finished molecule is shown
_MARGIN = 2  # pixels between the molecule and the bar that tells the time
_BAR = 4  # its height


@dataclass(frozen=True)
class Frame:
    """One step."""

    time: float  # 1 = noise, 0 = data
    noisy: MoleculeArrays  # where the molecule stands
    clean: MoleculeArrays  # what the network takes it for

    def __post_init__(self) -> None:
        """Both hold the same number of atoms."""
        if len(self.noisy) != len(self.clean):
            raise ValueError(f"Got {len(self.noisy)} noisy and {len(self.clean)} clean atoms; expected the same atoms")


@dataclass(frozen=True)
class Trajectory:
    """The steps of one molecule in their order; in the last frame, both molecules are the finished one."""

    frames: tuple[Frame, ...]
    title: str = ""

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def molecule(self) -> MoleculeArrays:
        """The finished molecule."""
        return self.frames[-1].clean

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write an .xyz or a .gif file, by the ending of its name.

        Raises:
            ValueError: if the ending is another.
            FileNotFoundError: if the folder does not exist.
            FileExistsError: if the file exists and `overwrite` is False.
        """
        suffix = known_suffix(Path(path), WRITABLE)
        return self.to_xyz(path, overwrite) if suffix == ".xyz" else self.to_gif(path, overwrite)

    def to_xyz(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write the noisy molecules as frames of an .xyz file, which VMD, ASE, PyMOL, OVITO and 3Dmol.js play.

        Each frame has the elements of the finished molecule, since viewers take elements and bonds from one frame for
        all; those of the moment are in `frames`. The comment of a frame tells its time.

        Raises:
            ValueError, FileNotFoundError, FileExistsError: see `save`.
        """
        known_suffix(Path(path), (".xyz",))
        with MoleculeWriter(path, overwrite) as writer:
            for frame in self.frames:
                mol = to_mol(replace(self.molecule, positions=frame.noisy.positions))
                mol.SetProp("_Name", self.title)
                mol.SetDoubleProp("moldiff_time", round(frame.time, 4))
                writer.write(mol)
        return Path(path)

    def to_gif(
        self,
        path: str | os.PathLike[str],
        overwrite: bool = False,
        size: int = 300,
        duration: int = 80,
    ) -> Path:
        """Write an animated picture that plays without end: elements and short bonds as they are at each moment.

        A notebook shows it by `IPython.display.Image(path)`.

        Args:
            path: .gif file.
            overwrite: replace it if it exists.
            size: width and height in pixels.
            duration: of each frame in ms; the finished molecule is shown for two seconds.

        Raises:
            ValueError, FileNotFoundError, FileExistsError: see `save`; also if size or duration are too small.
        """
        from PIL import Image

        path = Path(path)
        known_suffix(path, (".gif",))
        if size < 16 or duration < 10:
            raise ValueError(f"Got size {size} and duration {duration}; expected at least 16 pixels and 10 ms")
        _check_target(path, overwrite)
        images = self.images(size)
        sheet = Image.fromarray(np.concatenate(images)).quantize(255, dither=Image.Dither.NONE)  # one palette for all
        colours = np.array(sheet.getpalette()).reshape(-1, 3)
        colours[np.asarray(sheet)[0, 0]] = 255  # the ground stays white
        sheet.putpalette(colours.ravel().tolist())
        indexed = [sheet.crop((0, k * size, size, (k + 1) * size)) for k in range(len(images))]
        partial = path.with_name(f"{path.stem}.partial.gif")
        durations = [duration] * (len(indexed) - 1) + [_HOLD]
        indexed[0].save(partial, save_all=True, append_images=indexed[1:], duration=durations, loop=0, optimize=True)
        partial.replace(path)
        return path

    def images(self, size: int = 300) -> list[NDArray[np.uint8]]:
        """Each frame as an image (size, size, 3): all from one side, at one scale, above a bar that tells the time."""
        rotation = viewing_rotation(self.molecule.positions)
        mols = [_drawable(replace(frame.noisy, positions=frame.noisy.positions @ rotation)) for frame in self.frames]
        half_width = max(max(view_extent(viewing_positions(mol, turn=False))) for mol in mols)
        images = []
        for frame, mol in zip(self.frames, mols, strict=True):
            image = draw_molecule(mol, size, half_width, turn=False)
            image[-_BAR:] = 0.92
            image[-_BAR:, : round(size * (1 - frame.time))] = (0.0, 0.59, 0.53)
            images.append(np.round(image * 255).astype(np.uint8))
        return images


def check_path(path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Check that a trajectory can be written to this file, before it is computed.

    Raises:
        ValueError, FileNotFoundError, FileExistsError: see `Trajectory.save`.
    """
    known_suffix(Path(path), WRITABLE)
    _check_target(Path(path), overwrite)


def _check_target(path: Path, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder; create it before writing {path.name}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name, or replace it (--overwrite)")


def _drawable(arrays: MoleculeArrays) -> Chem.Mol:
    """A molecule without the bonds that are much too long."""
    orders = arrays.bond_orders
    if orders is None:
        orders = np.zeros(len(arrays) * (len(arrays) - 1) // 2, dtype=np.int8)
    i, j = pair_indices(len(arrays))
    lengths = np.linalg.norm(arrays.positions[i] - arrays.positions[j], axis=-1)
    return to_mol(replace(arrays, bond_orders=np.where(lengths < _STICK_LIMIT, orders, 0).astype(np.int8)))
