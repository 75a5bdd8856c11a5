"""`moldiff evaluate`: score the molecules of a file."""

from __future__ import annotations

import sys
from pathlib import Path

from moldiff.chem.files import read_molecules
from moldiff.metrics.report import Report, check_output, evaluate


def run_evaluate(
    molecules: Path, reference: str | None = "qm9", out: Path | None = None, overwrite: bool = False
) -> Report:
    """Score the molecules of a file by EDM's rule and by the strict rule.

    Args:
        molecules: a .sdf, .sdf.gz or .xyz file; each record counts as one requested molecule.
        reference: what novelty is judged by: "qm9" (its training molecules), or a .sdf, .xyz or .smi file.
        out: where to write the report as JSON, besides printing it.
        overwrite: replace `out` if it exists.

    Raises:
        FileNotFoundError: if a file or the folder of `out` does not exist.
        FileExistsError: if `out` exists and `overwrite` is False.
        ValueError: if a file cannot be read.
    """
    if out is not None:
        check_output(out, overwrite)
    report = evaluate(read_molecules(molecules), reference)
    if molecules.suffix.lower() == ".xyz":
        report = report.with_note(
            "an XYZ file holds no bonds: those of the strict rule are perceived (rdDetermineBonds)"
        )
    sys.stdout.write(f"{molecules}: {report}\n")
    if out is not None:
        report.write_json(out, overwrite)
        sys.stdout.write(f"Written to {out}\n")
    return report
