"""QM9: 130,831 small organic molecules with B3LYP/6-31G(2df,p) geometries and properties.

Ramakrishnan et al. 2014, "Quantum chemistry structures and properties of 134 kilo molecules"; the 3,054 molecules that
failed the authors' consistency check are left out in both sources.
"""

from __future__ import annotations

import csv
import importlib.util
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.assignment import Assignment, UnexplainedBondsError, assign_bonds
from moldiff.data.table import MoleculeTable

NUM_MOLECULES = 130_831
PROCESSING_VERSION = 1  # raise it whenever the table would come out different

HARTREE = 27.211386245988  # eV
BOHR = 0.529177210903  # Å
DEBYE = 0.20819433442462576  # e Å
CALORIE_PER_MOL = 4.184 / 96_485.33212  # eV


@dataclass(frozen=True)
class Property:
    """A property of QM9: its unit here, how much of it the unit of the source is, and its columns in the two sources."""

    unit: str
    factor: float
    qm9pack: str
    sdf: str


PROPERTIES = {
    "mu": Property("e Å", DEBYE, "Dipole_debye", "mu"),
    "alpha": Property("Å^3", BOHR**3, "Polarizability_bohr3", "alpha"),
    "homo": Property("eV", HARTREE, "HOMO_au", "homo"),
    "lumo": Property("eV", HARTREE, "LUMO_au", "lumo"),
    "gap": Property("eV", HARTREE, "HOMO_LUMO_gap_au", "gap"),
    "r2": Property("Å^2", BOHR**2, "R2_bohr2", "r2"),
    "zpve": Property("eV", HARTREE, "ZPVE_au", "zpve"),
    "U0": Property("eV", HARTREE, "InternalEnergy_0K_au", "u0"),
    "U": Property("eV", HARTREE, "InternalEnergy_298K_au", "u298"),
    "H": Property("eV", HARTREE, "Enthalphy_298K_au", "h298"),
    "G": Property("eV", HARTREE, "GibbsFreeEnergy_298K_au", "g298"),
    "Cv": Property("eV/K", CALORIE_PER_MOL, "Heatcapacity_Cv_cal_mol_K", "cv"),
}
"""Dipole moment, polarizability, orbital energies, electronic spatial extent, zero-point energy, internal energy at 0 K
and 298.15 K, enthalpy, free energy and heat capacity at 298.15 K, by PyG's names and converted to Å, e, eV."""

_ATOMIC_NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}


@dataclass(frozen=True)
class Record:
    """One molecule as the source has it, and the work to be done to get its bonds."""

    index: int
    properties: list[float]  # in the order and units of PROPERTIES
    smiles: str
    atomic_numbers: NDArray[np.int64]
    positions: NDArray[np.float64]

    def assign(self) -> Assignment:
        """Bonds and charges.

        Raises:
            UnexplainedBondsError: if nothing explains the geometry.
        """
        return assign_bonds(self.smiles, self.atomic_numbers, self.positions)


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
    """The records of the three CSV files, which are in index order."""
    csv.field_size_limit(10_000_000)
    for part in (1, 2, 3):
        with open((folder or qm9pack_folder()) / f"qm9_part{part}.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                elements = row["Elements"].translate(_NO_BRACKETS).split(",")
                positions = np.array(row["XYZ_Ang"].translate(_NO_BRACKETS).split(","), dtype=np.float64)
                yield Record(
                    index=int(row["Index"]),
                    properties=[float(row[p.qm9pack]) * p.factor for p in PROPERTIES.values()],
                    smiles=row["SMILES"],
                    atomic_numbers=np.array([_ATOMIC_NUMBERS[element] for element in elements]),
                    positions=positions.reshape(-1, 3),
                )


def build_table(records: Iterator[Record], source: str, total: int | None = NUM_MOLECULES) -> MoleculeTable:
    """Assign bonds to all records, with a progress bar; those that cannot be explained are left out and counted.

    The table's metadata names the `source`, how often each method of `moldiff.chem.assignment` succeeded (`methods`) and
    the indices of the molecules that were left out, by reason (`left_out`).
    """
    molecules: list[MoleculeArrays] = []
    index: list[int] = []
    smiles: list[str] = []
    properties: list[list[float]] = []
    methods: Counter[str] = Counter()
    left_out: dict[str, list[int]] = {}
    for record in tqdm(records, "Processing QM9", total, unit=" molecules", mininterval=1.0):
        try:
            assignment = record.assign()
        except UnexplainedBondsError as error:
            left_out.setdefault(str(error), []).append(record.index)
            continue
        methods[assignment.method] += 1
        molecules.append(assignment.molecule)
        smiles.append(assignment.smiles)
        index.append(record.index)
        properties.append(record.properties)
    columns = np.array(properties).T
    metadata: dict[str, Any] = {"source": source, "methods": dict(methods), "left_out": left_out}
    return MoleculeTable.from_arrays(
        molecules, index, dict(zip(PROPERTIES, columns, strict=True)), smiles, metadata=metadata
    )


@dataclass(frozen=True)
class Split:
    """Places of molecules in the list of all molecules."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]


def edm_split(num_molecules: int = NUM_MOLECULES) -> Split:
    """EDM's split of QM9: 100,000 / 17,748 / 13,083 places in index order, from numpy's `seed(0)` and `permutation`.

    Raises:
        ValueError: for any other number of molecules.
    """
    if num_molecules != NUM_MOLECULES:
        raise ValueError(
            f"Got {num_molecules} molecules; the split 'edm' is defined for all {NUM_MOLECULES} of QM9: use split='random'"
        )
    return _cut(np.random.RandomState(0).permutation(num_molecules), 100_000, int(0.1 * num_molecules))


def random_split(num_molecules: int, seed: int) -> Split:
    """Another split in EDM's proportions."""
    num_train = round(num_molecules * 100_000 / NUM_MOLECULES)
    return _cut(np.random.default_rng(seed).permutation(num_molecules), num_train, int(0.1 * num_molecules))


def _cut(permutation: NDArray[np.int64], num_train: int, num_test: int) -> Split:
    train, val, test = np.split(permutation, [num_train, len(permutation) - num_test])
    return Split(train, val, test)


def split_table(table: MoleculeTable, split: Split) -> tuple[MoleculeTable, MoleculeTable, MoleculeTable]:
    """Training, validation and test part of a table of QM9; places count the molecules that were left out as well."""
    left_out = [number for numbers in table.metadata["left_out"].values() for number in numbers]
    everything = np.sort(np.concatenate([table.index.numpy(), np.array(left_out, dtype=np.int64)]))
    kept = table.index.numpy()

    def part(places: NDArray[np.int64]) -> MoleculeTable:
        index = everything[places]
        return table.subset(torch.from_numpy(np.searchsorted(kept, index[np.isin(index, kept)])))

    return part(split.train), part(split.val), part(split.test)


_NO_BRACKETS = str.maketrans("", "", "[]'")
