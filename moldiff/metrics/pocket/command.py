"""`moldiff evaluate --pocket`: score designed molecules in their pocket."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from moldiff.chem.files import WITHOUT_BONDS, read_molecules
from moldiff.metrics.command import BOND_RULES, NO_BONDS, unreadable
from moldiff.metrics.pocket.evaluate import evaluate_pocket
from moldiff.metrics.pocket.report import PocketReport
from moldiff.metrics.report import check_output


def run_evaluate_pocket(
    molecules: Path,
    pocket: Path,
    reference_ligand: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    dock: bool = False,
    fast: bool = False,
    workers: int | None = None,
) -> PocketReport:
    """Score the molecules of a file in a pocket, and print the report.

    Args:
        molecules: a .sdf or .sdf.gz file; each record counts as one requested molecule.
        pocket: a .pdb file of the protein, or of a pocket cut out of it, in the frame of the molecules.
        reference_ligand: a .sdf file of known ligands in the pocket.
        out: where to write the report as JSON, besides printing it.
        overwrite: replace `out` if it exists.
        dock: whether to dock each molecule.
        fast: leave out what takes most of the time.
        workers: processes; if None, one per core that this process may use, unless there is little to do.

    Raises:
        FileNotFoundError: if a file or the folder of `out` does not exist.
        FileExistsError: if `out` exists and `overwrite` is False.
        ValueError: if a file cannot be read, or a reference ligand is not valid.
        ImportError: if `dock` is asked for without the packages.
    """
    if out is not None:
        check_output(out, overwrite)
    references = [] if reference_ligand is None else read_molecules(reference_ligand)
    mols = read_molecules(molecules)
    report = evaluate_pocket(mols, pocket, references, dock=dock, fast=fast, workers=workers)
    bare = [NO_BONDS.format(BOND_RULES["rdkit"])] if molecules.suffix.lower() in WITHOUT_BONDS else []
    report = replace(report, notes=(*report.notes, *bare, *unreadable(mols)))
    if out is not None:
        report.write_json(out, overwrite)
    sys.stdout.write(f"{molecules}: {report}\n")
    if out is not None:
        sys.stdout.write(f"Written to {out}\n")
    return report
