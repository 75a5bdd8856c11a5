"""Ligands of the PDB: the chemical component dictionary (Westbrook et al. 2015), which the package biotite ships."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.ligand import Ligand, prepare_arrays
from moldiff.data.bcif import Table, read_bcif
from moldiff.data.cache import cached_table, file_checksum
from moldiff.data.ligands import PROCESSING_VERSION, ligand_table
from moldiff.data.parallel import parallel_map
from moldiff.data.table import MoleculeTable

_AXES = ("x", "y", "z")
_MODEL = tuple(f"model_Cartn_{axis}" for axis in _AXES)  # as in the structure where the component was first seen
_IDEAL = tuple(f"pdbx_model_Cartn_{axis}_ideal" for axis in _AXES)  # calculated
_COLUMNS = {
    "_chem_comp": ("id", "pdbx_release_status"),
    "_chem_comp_atom": ("comp_id", "atom_id", "type_symbol", "charge", *_MODEL, *_IDEAL),
    "_chem_comp_bond": ("comp_id", "atom_id_1", "atom_id_2", "value_order"),
}
_ORDERS = {"SING": 1, "DOUB": 2, "TRIP": 3}
_NUMBERS = {Chem.GetPeriodicTable().GetElementSymbol(number).upper(): number for number in range(1, 119)} | {"D": 1}


def ccd_file() -> Path:
    """The dictionary in the installed package `biotite`, which is not imported.

    Raises:
        ModuleNotFoundError: if it is not installed, or has no such file.
    """
    spec = importlib.util.find_spec("biotite")
    places = spec.submodule_search_locations if spec is not None else None
    path = Path(places[0]) / "structure" / "info" / "components.bcif" if places else None
    if path is None or not path.is_file():
        raise ModuleNotFoundError(
            "The chemical component dictionary comes with the package biotite, which is not installed (or is not "
            "release 1): pip install 'moldiff[ccd]', or name a components.bcif file"
        )
    return path


def ccd_table(path: str | Path | None = None, processes: int | None = None) -> MoleculeTable:
    """All suitable components (`moldiff.chem.ligand`) with experimental coordinates, or else calculated ones; cached.

    Experimental coordinates are taken where they are complete and sane: `metadata["geometries"]` counts, `index` is the
    place in the dictionary from 0, `metadata["left_out"]` has the places of what was not used, by reason.

    Args:
        path: a dictionary in the BinaryCIF format, by default that of the installed package biotite.
        processes: see `moldiff.data.parallel`.
    """
    path = Path(path) if path is not None else ccd_file()

    def build() -> MoleculeTable:
        components = list(read_components(path))
        work = [component for component in components if not isinstance(component, str)]
        done = parallel_map(prepare_arrays, work, processes)
        prepared = iter(tqdm(done, "Processing PDB components", len(work), unit=" molecules", mininterval=1.0))
        results: Iterator[Ligand | str] = (c if isinstance(c, str) else next(prepared) for c in components)
        return ligand_table(range(len(components)), results, {"source": path.name})

    return cached_table(f"ccd-{file_checksum(path)[:16]}", PROCESSING_VERSION, build)


def read_components(path: str | Path) -> Iterator[list[MoleculeArrays] | str]:
    """For each component its heavy atoms with each set of coordinates that is complete, or why it cannot be used.

    Raises:
        ValueError: if the file is no dictionary in the BinaryCIF format.
    """
    tables = read_bcif(path, _COLUMNS)
    names, atoms, bonds = tables["_chem_comp"], tables["_chem_comp_atom"], tables["_chem_comp_bond"]
    symbols, which = np.unique(atoms["type_symbol"], return_inverse=True)
    numbers = np.array([_NUMBERS.get(symbol.upper(), 0) for symbol in symbols.tolist()])[which]
    atom_rows, bond_rows = _rows(atoms["comp_id"]), _rows(bonds["comp_id"])
    for name, status in zip(names["id"].tolist(), names["pdbx_release_status"].tolist(), strict=True):
        if status != "REL":
            yield "not released, or obsolete"
        elif name not in atom_rows:
            yield "no atoms"
        else:
            yield _component(atoms, numbers, bonds, atom_rows[name], bond_rows.get(name, slice(0, 0)))


def _component(
    atoms: Table, numbers: NDArray[np.int64], bonds: Table, rows: slice, bond_rows: slice
) -> list[MoleculeArrays] | str:
    heavy = np.flatnonzero(numbers[rows] != 1)
    if not len(heavy):
        return "no heavy atoms"
    if (numbers[rows][heavy] == 0).any():
        return "an unknown element"
    charges = atoms["charge"][rows][heavy]
    if not np.isfinite(charges).all():
        return "an unknown charge"
    places = {name: k for k, name in enumerate(atoms["atom_id"][rows][heavy].tolist())}
    orders = np.zeros(len(heavy) * (len(heavy) - 1) // 2, dtype=np.int8)
    columns = (bonds[name][bond_rows].tolist() for name in ("atom_id_1", "atom_id_2", "value_order"))
    for first, second, order in zip(*columns, strict=True):
        if first in places and second in places:
            if order not in _ORDERS:
                return "an unknown bond order"
            j, i = sorted((places[first], places[second]))
            orders[i * (i - 1) // 2 + j] = _ORDERS[order]
    geometries = []
    for axes in (_MODEL, _IDEAL):
        positions = np.stack([atoms[axis][rows][heavy] for axis in axes], axis=1).astype(np.float64)
        if np.isfinite(positions).all():
            geometries.append(MoleculeArrays(numbers[rows][heavy], positions, charges.astype(np.int64), orders))
    return geometries or "no complete coordinates"


def _rows(names: NDArray[np.str_]) -> dict[str, slice]:
    """Where each name stands in a column in which equal names stand together."""
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.empty(0, dtype=np.int64)
    ends = [*starts[1:].tolist(), len(names)]
    return {names[a]: slice(a, b) for a, b in zip(starts.tolist(), ends, strict=True)}
