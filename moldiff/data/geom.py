"""GEOM-Drugs (Axelrod & Gómez-Bombarelli 2022) as its authors publish it: drugs_crude.msgpack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from moldiff.chem.arrays import to_mol
from moldiff.chem.assignment import UnexplainedBondsError, assign_bonds
from moldiff.chem.ligand import Ligand, prepared_or_reason
from moldiff.data.cache import cached_table, file_checksum
from moldiff.data.ligands import PROCESSING_VERSION, ligand_table
from moldiff.data.parallel import parallel_map
from moldiff.data.table import MoleculeTable

_MOST = 10_000_000  # entries of a list; what claims to be longer is damaged
_FAR = 1e6  # Å


@dataclass(frozen=True)
class Conformer:
    """The conformer of lowest energy of one molecule, with hydrogens; its bonds are known by the SMILES alone."""

    smiles: str
    atomic_numbers: NDArray[np.int64]  # (N,)
    positions: NDArray[np.float64]  # (N, 3), Å


def geom_table(path: str | Path, num_molecules: int | None = None, processes: int | None = None) -> MoleculeTable:
    """The conformers of lowest energy of the first molecules of a file, heavy atoms only; cached.

    `index` is the number of the molecule in the file from 0; `metadata["left_out"]` has the numbers of what is
    unsuitable (`moldiff.chem.ligand`) or does not fit its SMILES.

    Args:
        path: drugs_crude.msgpack (also qm9_crude.msgpack has this form).
        num_molecules: how many are read; None = all.
        processes: see `moldiff.data.parallel`.
    """
    path = Path(path)

    def build() -> MoleculeTable:
        conformers = islice(read_geom(path), num_molecules)
        done = parallel_map(ligand_or_reason, conformers, processes)
        results = list(tqdm(done, f"Processing {path.name}", num_molecules, unit=" molecules", mininterval=1.0))
        return ligand_table(range(len(results)), results, {"source": path.name})

    many = "" if num_molecules is None else f"-{num_molecules}"
    return cached_table(f"geom-{file_checksum(path)[:16]}{many}", PROCESSING_VERSION, build)


def read_geom(path: str | Path) -> Iterator[Conformer]:
    """The molecules of a file one by one; only a thousand are in memory at a time.

    Raises:
        ModuleNotFoundError: if msgpack is not installed.
        ValueError: if the file is cut off or of another layout.
    """
    try:
        import msgpack
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "GEOM's files are read with msgpack, which is not installed: pip install msgpack"
        ) from error
    with open(path, "rb") as file:
        try:
            unpacker = msgpack.Unpacker(
                file, max_buffer_size=0, strict_map_key=False, max_array_len=_MOST, max_map_len=_MOST
            )
            whole = 0  # bytes up to the end of the last whole block
            for block in unpacker:
                whole = unpacker.tell()
                for smiles, entry in block.items():
                    best = min(entry["conformers"], key=itemgetter("totalenergy"))
                    atoms = np.array(best["xyz"], dtype=np.float64).reshape(-1, 4)  # atomic number, x, y, z
                    if not (np.abs(atoms) < _FAR).all():
                        raise ValueError("coordinates that are no finite numbers")
                    yield Conformer(smiles, atoms[:, 0].astype(np.int64), atoms[:, 1:])
            if whole < Path(path).stat().st_size or not whole:  # it stops in silence where the last block is not whole
                raise ValueError("the last block is not whole")
        except (ValueError, KeyError, TypeError, AttributeError, MemoryError, msgpack.UnpackException) as error:
            raise ValueError(
                f"{path} is cut off or not laid out as GEOM's drugs_crude.msgpack, which holds conformers with xyz and "
                f"totalenergy by SMILES ({type(error).__name__}: {error}); copy it again"
            ) from error


def ligand_or_reason(conformer: Conformer) -> Ligand | str:
    """Give a conformer the bonds of its SMILES and prepare it, or the reason why that cannot be done."""
    try:
        found = assign_bonds(conformer.smiles, conformer.atomic_numbers, conformer.positions)
    except UnexplainedBondsError:
        return "the geometry does not fit the SMILES"
    if found.method == "perception":
        return "the geometry does not fit the SMILES"
    return prepared_or_reason(to_mol(found.molecule))
