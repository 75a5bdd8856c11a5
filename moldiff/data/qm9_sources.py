"""The two sources of QM9 that are read: the package `qm9pack`, and the raw files of PyG's `QM9` (gdb9.sdf)."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from moldiff.chem.assignment import Assignment, assign_bonds, check_bonds

HARTREE = 27.211386245988  # eV


@dataclass(frozen=True)
class Property:
    """A property of QM9: its unit here, how much of it the unit of the sources is, and its column in each source."""

    unit: str
    factor: float
    qm9pack: str
    gdb9: str


PROPERTIES = {
    "mu": Property("D", 1.0, "Dipole_debye", "mu"),
    "alpha": Property("Bohr^3", 1.0, "Polarizability_bohr3", "alpha"),
    "homo": Property("eV", HARTREE, "HOMO_au", "homo"),
    "lumo": Property("eV", HARTREE, "LUMO_au", "lumo"),
    "gap": Property("eV", HARTREE, "HOMO_LUMO_gap_au", "gap"),
    "r2": Property("Bohr^2", 1.0, "R2_bohr2", "r2"),
    "zpve": Property("eV", HARTREE, "ZPVE_au", "zpve"),
    "U0": Property("eV", HARTREE, "InternalEnergy_0K_au", "u0"),
    "U": Property("eV", HARTREE, "InternalEnergy_298K_au", "u298"),
    "H": Property("eV", HARTREE, "Enthalphy_298K_au", "h298"),
    "G": Property("eV", HARTREE, "GibbsFreeEnergy_298K_au", "g298"),
    "Cv": Property("cal/mol/K", 1.0, "Heatcapacity_Cv_cal_mol_K", "cv"),
}
"""Dipole moment, polarizability, orbital energies, electronic spatial extent, zero-point energy, internal energy at 0 K
and 298.15 K, enthalpy, free energy and heat capacity at 298.15 K: by PyG's names, energies converted to eV, the others
in the units of the literature."""

_ATOMIC_NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
_NO_BRACKETS = str.maketrans("", "", "[]'")


@dataclass(frozen=True)
class Record:
    """One molecule as a source has it, and how to find its bonds."""

    index: int  # from 1, as in the names of QM9's files
    properties: tuple[float, ...]  # in the order and units of PROPERTIES
    assign: Callable[[], Assignment]  # raises UnexplainedBondsError


def qm9pack_folder() -> Path:
    """The folder of the CSV files in the installed package `qm9pack`, which is not imported (it needs `pkg_resources`).

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    spec = importlib.util.find_spec("qm9pack")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "QM9 comes with the package qm9pack, which is not installed: pip install 'moldiff[qm9]', "
            "or give `source` the folder of PyG's raw QM9 (gdb9.sdf)"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def read_qm9pack(folder: Path | None = None) -> Iterator[Record]:
    """The records of the three CSV files, which are in index order; bonds by the SMILES."""
    csv.field_size_limit(10_000_000)
    for part in (1, 2, 3):
        with open((folder or qm9pack_folder()) / f"qm9_part{part}.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                values = tuple(float(row[p.qm9pack]) * p.factor for p in PROPERTIES.values())
                find = partial(_assign_qm9pack, row["SMILES"], row["Elements"], row["XYZ_Ang"])
                yield Record(int(row["Index"]), values, find)


def _assign_qm9pack(smiles: str, elements: str, coordinates: str) -> Assignment:
    numbers = np.array([_ATOMIC_NUMBERS[element] for element in elements.translate(_NO_BRACKETS).split(",")])
    positions = np.array(coordinates.translate(_NO_BRACKETS).split(","), dtype=np.float64)
    return assign_bonds(smiles, numbers, positions.reshape(-1, 3))


def gdb9_files(path: Path) -> tuple[Path, Path, Path]:
    """gdb9.sdf, gdb9.sdf.csv and uncharacterized.txt, given their folder or the first of them.

    Raises:
        FileNotFoundError: if one of them is missing.
    """
    folder = path.parent if path.name == "gdb9.sdf" else path
    files = folder / "gdb9.sdf", folder / "gdb9.sdf.csv", folder / "uncharacterized.txt"
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)}; expected the raw files of PyG's QM9: "
            "gdb9.sdf, gdb9.sdf.csv and uncharacterized.txt, or source='qm9pack'"
        )
    return files


def read_gdb9(path: Path) -> Iterator[Record]:
    """The records of PyG's raw files without the uncharacterized molecules; bonds as in the file where they make sense.

    Raises:
        FileNotFoundError: if one of the files is missing.
        ValueError: if the SDF and the CSV file differ in length.
    """
    files = gdb9_files(path)
    try:
        yield from _gdb9_records(*files)
    except (ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
        raise ValueError(
            f"{files[0].parent}: the raw files of QM9 are cut off, damaged, or do not fit together "
            f"({type(error).__name__}: {error}); copy them again"
        ) from error


def _gdb9_records(sdf: Path, table: Path, uncharacterized: Path) -> Iterator[Record]:
    with open(uncharacterized, encoding="utf-8") as file:
        excluded = {int(line.split()[0]) for line in file.readlines()[9:-1]}  # between a header and the last line
    with open(sdf, "rb") as molecules, open(table, newline="", encoding="utf-8") as rows, rdBase.BlockLogs():
        supplier = Chem.ForwardSDMolSupplier(molecules, sanitize=False, removeHs=False)
        for mol, row in zip(supplier, csv.DictReader(rows), strict=True):
            if mol is None:
                raise ValueError(f"RDKit cannot read the record of {row['mol_id']}")
            index = int(row["mol_id"].removeprefix("gdb_"))
            if index not in excluded:
                yield Record(index, _gdb9_properties(row), partial(check_bonds, mol))


def _gdb9_properties(row: Mapping[str, str]) -> tuple[float, ...]:
    return tuple(float(row[p.gdb9]) * p.factor for p in PROPERTIES.values())
