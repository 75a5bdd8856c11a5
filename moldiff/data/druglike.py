"""Drug-like molecules in 3D, heavy atoms only, from several sources in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from rdkit import Chem
from tqdm import tqdm

from moldiff.chem.files import read_molecules
from moldiff.chem.ligand import prepared_or_reason
from moldiff.data.cache import cached_table
from moldiff.data.ccd import ccd_table
from moldiff.data.exclusion import excluded_keys
from moldiff.data.geom import geom_table
from moldiff.data.ligands import PROCESSING_VERSION, ligand_table
from moldiff.data.parallel import parallel_map
from moldiff.data.sdf import files_digest, sdf_files
from moldiff.data.smiles_source import SUFFIXES, moses_file, smiles_table
from moldiff.data.table import MoleculeTable


def source_table(
    source: str, num_molecules: int | None = None, seed: int = 0, processes: int | None = None
) -> MoleculeTable:
    """The table of one source; the first use processes it, which may take long, and caches it.

    Args:
        source: `ccd` (`moldiff.data.ccd`), `moses` (`moldiff.data.smiles_source`), or a path: SMILES in .csv, .smi or
            .txt (also .gz), molecules in .sdf or .sdf.gz or a folder of those, GEOM's drugs_crude.msgpack, or a
            chemical component dictionary in .bcif.
        num_molecules: how many SMILES are embedded, or molecules of GEOM read; other sources are taken whole.
        seed: of the choice of SMILES and of their conformers.
        processes: see `moldiff.data.parallel`.

    Raises:
        FileNotFoundError: if there is nothing at a path.
        ModuleNotFoundError: if a package that a source needs is not installed; the message says which.
        ValueError: if the ending is unknown.
    """
    if source == "ccd":
        return ccd_table(processes=processes)
    path = moses_file() if source == "moses" else Path(source)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {source}; expected 'ccd', 'moses' or a path")
    name = path.name.lower()
    if path.is_dir() or name.endswith((".sdf", ".sdf.gz")):
        return ligand_sdf_table(path, processes)
    if name.endswith(SUFFIXES):
        return smiles_table(path, num_molecules, seed, processes)
    if name.endswith(".msgpack"):
        return geom_table(path, num_molecules, processes)
    if name.endswith(".bcif"):
        return ccd_table(path, processes)
    raise ValueError(
        f"Got the source {source}; expected 'ccd', 'moses', or a file that ends in {', '.join(SUFFIXES)}, .sdf, "
        ".sdf.gz, .msgpack or .bcif (pickled files are not read: they can run any code)"
    )


def ligand_sdf_table(path: str | Path, processes: int | None = None) -> MoleculeTable:
    """The suitable molecules (`moldiff.chem.ligand`) of SDF files, with or without hydrogens; cached.

    `index` counts the records of all files from 0; `metadata["left_out"]` has the numbers of the others by reason.
    """
    files = sdf_files(path)

    def build() -> MoleculeTable:
        def records() -> Iterator[Chem.Mol | None]:
            for file in files:
                yield from tqdm(read_molecules(file), f"Processing {file.name}", unit=" molecules", disable=None)

        results = list(parallel_map(prepared_or_reason, records(), processes))
        return ligand_table(range(len(results)), results, {"source": [file.name for file in files]})

    return cached_table(f"ligand-sdf-{files_digest(files)[:16]}", PROCESSING_VERSION, build)


def druglike_table(
    sources: Sequence[str],
    num_molecules: int | None = None,
    exclude: str | Path | None = None,
    seed: int = 0,
    processes: int | None = None,
) -> MoleculeTable:
    """The molecules of several sources, one after another, without those of excluded connectivity.

    `metadata["sources"]` has, for each source, how many molecules it gave, how many were left out for which reason, and
    its own metadata. The other arguments are those of `source_table` and `excluded_keys`.

    Raises:
        ValueError: if there is no source, one is named twice, or no molecule is left.
    """
    if not sources or len(set(sources)) != len(sources):
        raise ValueError(f"Got sources={list(sources)}; expected at least one and none twice")
    excluded = excluded_keys(exclude)
    tables, origins = [], {}
    for source in sources:
        table = source_table(source, num_molecules, seed, processes)
        unwanted = np.isin(table.keys.numpy(), excluded)
        left_out = {reason: len(numbers) for reason, numbers in table.metadata["left_out"].items()}
        about = {name: value for name, value in table.metadata.items() if name != "left_out"}
        if unwanted.any():
            left_out["excluded"] = int(unwanted.sum())
            table = table.subset(torch.from_numpy(np.flatnonzero(~unwanted)))
        origins[source] = {**about, "num_molecules": len(table), "left_out": left_out}
        tables.append(table)
    whole = MoleculeTable.concatenate(
        tables, {"sources": origins, "exclude": None if exclude is None else str(exclude)}
    )
    if not len(whole):
        raise ValueError(f"No molecule of {', '.join(sources)} can be used ({origins}); give other sources")
    return whole
