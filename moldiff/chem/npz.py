"""Molecules without bonds in .npz files: elements and coordinates of many molecules as flat or padded arrays."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.packed import check_zip

_NUMBERS = ("numbers", "atomic_numbers")
_FAR = 1e6  # Å; no molecule is so large
_KINDS = {"fiu": "numbers", "iu": "whole numbers"}


def read_npz(path: Path) -> list[MoleculeArrays | None]:
    """The molecules of an .npz file, in their order; None where one has no atoms.

    The file holds `positions` in Å and the atomic numbers, `numbers` (or `atomic_numbers`), in one of two layouts:

    - flat: positions (A, 3), numbers (A,) of all atoms one after the other, and `num_atoms` (M,) of each molecule;
    - padded: positions (M, N, 3), numbers (M, N); atomic number 0 marks places without an atom.

    Raises:
        ValueError: if the file is not of this kind, or its shapes do not fit together.
    """
    try:
        check_zip(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, AttributeError, MemoryError, zlib.error) as error:
        raise ValueError(f"{path}: not an .npz file of plain arrays ({error}); write it by numpy.savez") from error
    name = next((name for name in _NUMBERS if name in arrays), None)
    if name is None or "positions" not in arrays:
        raise ValueError(f"{path}: got the arrays {', '.join(arrays) or 'none'}; expected `positions` and `numbers`")
    positions = _numbers(path, arrays, "positions", "fiu").astype(np.float64)
    numbers = _numbers(path, arrays, name, "iu").astype(np.int64)
    if positions.shape != (*numbers.shape, 3):
        raise ValueError(
            f"{path}: got {name} of shape {numbers.shape} and positions of shape {positions.shape}; expected "
            "(A,) and (A, 3), or (M, N) and (M, N, 3)"
        )
    if numbers.size and not 0 <= numbers.min() <= numbers.max() <= 118:
        raise ValueError(f"{path}: got {name} from {numbers.min()} to {numbers.max()}; expected 1 to 118")
    if not (np.abs(positions) < _FAR).all():
        raise ValueError(f"{path}: got positions that are no finite numbers, or beyond {_FAR:,.0f} Å; expected Å")
    if numbers.ndim == 1 and not numbers.all():
        raise ValueError(f"{path}: got {name} with 0 among them; expected 1 to 118, or the layout (M, N)")
    if numbers.ndim == 2:
        pairs = [(z[z > 0], x[z > 0]) for z, x in zip(numbers, positions, strict=True)]
    else:
        cuts = np.cumsum(_sizes(path, arrays, len(numbers)))[:-1]
        pairs = list(zip(np.split(numbers, cuts), np.split(positions, cuts), strict=True))
    return [MoleculeArrays(z, x, np.zeros_like(z)) if len(z) else None for z, x in pairs]


def _numbers(path: Path, arrays: Mapping[str, NDArray[np.generic]], name: str, kinds: str) -> NDArray[np.generic]:
    """An array of one of numpy's kinds of numbers; whole numbers may be stored as floats."""
    array = arrays[name]
    whole = array.dtype.kind == "f" and "f" not in kinds and bool((np.mod(array, 1) == 0).all())
    if array.dtype.kind not in kinds and not whole:
        raise ValueError(f"{path}: got {name} of the kind {array.dtype}; expected {_KINDS[kinds]}")
    return array


def _sizes(path: Path, arrays: Mapping[str, NDArray[np.generic]], num_atoms: int) -> NDArray[np.int64]:
    if "num_atoms" not in arrays:
        raise ValueError(f"{path}: got {num_atoms} atoms in a row; expected `num_atoms` as well, their sizes")
    sizes = _numbers(path, arrays, "num_atoms", "iu").astype(np.int64)
    if sizes.ndim != 1 or not len(sizes) or not 0 <= sizes.min() <= sizes.max() <= num_atoms == sizes.sum():
        raise ValueError(
            f"{path}: got `num_atoms` of shape {sizes.shape} that add up to {sizes.sum()}; expected the sizes of the "
            f"molecules, which add up to the {num_atoms} atoms of the file"
        )
    return sizes
