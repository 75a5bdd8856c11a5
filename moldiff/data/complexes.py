"""Protein-ligand complexes in files: index.csv and complexes/<id>/{pocket.pdb,ligand.sdf}."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rdkit import Chem, rdBase
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays, from_mol, sanitized
from moldiff.chem.files import read_molecule
from moldiff.chem.pocket import RADIUS, select_pocket
from moldiff.chem.protein_files import read_pocket
from moldiff.chem.smiles import canonical_smiles
from moldiff.chem.vocabulary import DRUG_VOCABULARY
from moldiff.data.cache import cached, cached_table, file_checksum
from moldiff.data.csv_file import csv_records
from moldiff.data.pocket_batch import Level
from moldiff.data.pocket_table import ComplexTable, PocketTable
from moldiff.data.sdf import LeftOut, summary
from moldiff.data.table import MoleculeTable

PROCESSING_VERSION = 1  # raise it whenever the tables would come out different
INDEX, FOLDER, POCKET, LIGAND = "index.csv", "complexes", "pocket.pdb", "ligand.sdf"

_logger = logging.getLogger(__name__)


def read_index(path: str | Path) -> list[dict[str, str]]:
    """The rows of index.csv in a folder of complexes: column -> text; `id` is the only column that must be there.

    Raises:
        FileNotFoundError: if there is no index.csv.
        ValueError: if it has no rows, no column `id`, an id twice, or an id that cannot name a folder.
    """
    file = Path(path) / INDEX
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file; expected a folder with {INDEX} and {FOLDER}/<id>/{POCKET}, {LIGAND}: "
            "`moldiff prepare-pocket` makes one"
        )
    rows = csv_records(file)
    if not rows or "id" not in rows[0]:
        raise ValueError(f"{file}: got {len(rows)} rows and columns {list(rows[0] if rows else [])}; expected an 'id'")
    seen: set[str] = set()
    for number, row in enumerate(rows, 2):
        name = row["id"]
        if not name or name in seen or name in (".", "..") or "/" in name or "\\" in name or len(name) > 200:
            raise ValueError(
                f"{file}, line {number}: got id {name[:80]!r}; expected the name of a folder, and none twice"
            )
        seen.add(name)
    return rows


def complex_table(path: str | Path, level: Level = "atom", radius: float = RADIUS) -> ComplexTable:
    """All usable complexes of a folder in the order of index.csv, from the cache if nothing has changed since.

    Ligands keep their heavy atoms only, under `DRUG_VOCABULARY`, and pockets the residues within `radius` of them, both
    in the frame of the files. `index` of the ligands counts the rows of index.csv from 0, as do the pockets. What
    cannot be used is left out, with a warning that counts and names it. Files count as changed when their size or time
    of modification has changed.

    Args:
        path: the folder.
        level: heavy atoms or residues.
        radius: around the ligand, in Å; no more than what is in the files.

    Raises:
        FileNotFoundError: if there is no index.csv.
        ValueError: if index.csv cannot be used, or no complex can be.
    """
    folder = Path(path)
    names = [row["id"] for row in read_index(folder)]
    digest = _digest(folder, names)
    molecules = cached_table(f"ligands-{digest}", PROCESSING_VERSION, lambda: _ligands(folder, names))
    pockets = cached(
        f"pockets-{digest}-{level}-{radius:g}",
        PROCESSING_VERSION,
        lambda: _pockets(folder, names, molecules, level, radius),
        PocketTable.load,
    )
    left_out = [LeftOut(**record) for table in (molecules, pockets) for record in table.metadata["left_out"]]
    if left_out:
        _logger.warning("%s", summary(left_out, len(names)))
    molecules = molecules.subset((pockets.sizes[molecules.index] > 0).nonzero().flatten())
    if not len(molecules):
        raise ValueError(f"{folder}: no complex can be used. {summary(left_out, len(names))}")
    return ComplexTable(molecules, pockets)


def read_ligand(path: Path) -> tuple[MoleculeArrays, Chem.Mol]:
    """Heavy atoms of the only molecule of a file, and the sanitized molecule, which may have hydrogens.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there is not exactly one molecule of one fragment, RDKit rejects it, or it has no 3D coordinates.
    """
    mol = read_molecule(path)
    with rdBase.BlockLogs():
        clean = sanitized(mol)
    if clean is None:
        raise ValueError(f"{path}: RDKit rejects the ligand; check its atoms, bonds and charges")
    parts = len(Chem.GetMolFrags(clean))
    if parts > 1:
        raise ValueError(f"{path}: got a ligand of {parts} fragments; expected one: remove salts and solvents")
    try:
        return from_mol(clean, hydrogens=False), clean
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _digest(folder: Path, names: Sequence[str]) -> str:
    digest = hashlib.sha256(file_checksum(folder / INDEX).encode())
    for name in names:
        for file in (POCKET, LIGAND):
            path = folder / FOLDER / name / file
            state = path.stat() if path.exists() else None
            digest.update(f"{name}/{file} {state and (state.st_size, state.st_mtime_ns)};".encode())
    return digest.hexdigest()[:16]


def _ligands(folder: Path, names: Sequence[str]) -> MoleculeTable:
    molecules: list[MoleculeArrays] = []
    index: list[int] = []
    smiles: list[str] = []
    left_out: list[LeftOut] = []
    for row, name in enumerate(tqdm(names, "Reading ligands", disable=None)):
        try:
            arrays, mol = read_ligand(folder / FOLDER / name / LIGAND)
            DRUG_VOCABULARY.element_index(arrays.atomic_numbers)
            DRUG_VOCABULARY.charge_index(arrays.charges)
        except (ValueError, FileNotFoundError) as error:
            left_out.append(LeftOut(name, row + 1, _short(error, folder / FOLDER / name)))
            continue
        molecules.append(arrays)
        index.append(row)
        smiles.append(canonical_smiles(mol))
    if not molecules:
        raise ValueError(f"{folder}: no ligand can be used. {summary(left_out, len(names))}")
    metadata = {"left_out": [asdict(record) for record in left_out]}
    return MoleculeTable.from_arrays(molecules, index, smiles=smiles, vocabulary=DRUG_VOCABULARY, metadata=metadata)


def _pockets(folder: Path, names: Sequence[str], molecules: MoleculeTable, level: Level, radius: float) -> PocketTable:
    """A pocket for each row of index.csv; none where there is no ligand, or the pocket cannot be used."""
    places = {row: place for place, row in enumerate(molecules.index.tolist())}
    left_out: list[LeftOut] = []
    parts: list[PocketTable] = []
    for row, name in enumerate(tqdm(names, "Reading pockets", disable=None)):
        pocket = None
        if row in places:
            try:
                protein = read_pocket(folder / FOLDER / name / POCKET)
                pocket = select_pocket(protein, molecules.molecule(places[row]).positions, radius=radius)
            except (ValueError, FileNotFoundError) as error:
                left_out.append(LeftOut(name, row + 1, _short(error, folder / FOLDER / name)))
        parts.append(PocketTable.from_pockets([pocket], level))
    return PocketTable.joined(parts, {"left_out": [asdict(record) for record in left_out]})


def _short(error: Exception, folder: Path) -> str:
    """A reason without the folder, so that equal reasons are counted together."""
    return str(error).replace(f"{folder}/", "")


def split_of(rows: Sequence[dict[str, str]]) -> dict[str, torch.Tensor] | None:
    """Rows of each part by the column `split` (train, val or test; valid and validation count as val); None without it.

    Raises:
        ValueError: if the column is filled in part of the rows only, has another value, or no row is for training.
    """
    names = [(row.get("split") or "").strip().lower() for row in rows]
    if not any(names):
        return None
    names = ["val" if name in ("valid", "validation") else name for name in names]
    wrong = sorted({name for name in names if name not in ("train", "val", "test")})
    if wrong or "train" not in names:
        raise ValueError(
            f"{INDEX}: got the values {sorted(set(names))} in the column 'split'; expected train, val or test in every "
            "row (or nothing in all of them, for a random split), and train at least once"
        )
    return {part: torch.tensor([k for k, n in enumerate(names) if n == part]) for part in ("train", "val", "test")}
