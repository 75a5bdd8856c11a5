"""A cache of its own for every test, a table of 200 molecules of QM9, and a look into the CSV files of qm9pack."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from moldiff.data.qm9_sources import qm9pack_folder
from moldiff.data.sdf import sdf_table
from moldiff.data.table import MoleculeTable


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MOLDIFF_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def qm9_sdf(root: Path) -> Path:
    return root / "tests" / "fixtures" / "qm9_200.sdf"


@pytest.fixture(scope="session")
def table(qm9_sdf: Path, tmp_path_factory: pytest.TempPathFactory) -> MoleculeTable:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLDIFF_CACHE", str(tmp_path_factory.mktemp("cache")))
        return sdf_table(qm9_sdf)


@dataclass(frozen=True)
class QM9Pack:
    """Columns of all molecules, and a folder with every 650th of them in the same format."""

    index: np.ndarray
    size: np.ndarray
    folder: Path
    smiles: list[str]  # of the molecules in the folder


@pytest.fixture(scope="session")
def qm9pack(tmp_path_factory: pytest.TempPathFactory) -> QM9Pack:
    folder = tmp_path_factory.mktemp("qm9pack")
    index, size, smiles = [], [], []
    for part in (1, 2, 3):
        name = f"qm9_part{part}.csv"
        with open(qm9pack_folder() / name, newline="") as file, open(folder / name, "w", newline="") as copy:
            reader, writer = csv.reader(file), csv.writer(copy)
            header = next(reader)
            writer.writerow(header)
            columns = [header.index(column) for column in ("Index", "N_atoms", "SMILES")]
            for row in reader:
                number, atoms, text = (row[column] for column in columns)
                if len(index) % 650 == 0:
                    writer.writerow(row)
                    smiles.append(text)
                index.append(int(number))
                size.append(int(atoms))
    return QM9Pack(np.array(index), np.array(size), folder, smiles)
