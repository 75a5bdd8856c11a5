"""`moldiff evaluate`: score the molecules of a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import joblib
from rdkit import Chem

from moldiff.chem.files import WITHOUT_BONDS, Bonds, read_molecules
from moldiff.chem.record_file import RecordFile
from moldiff.metrics.evaluation import evaluate, load_sample
from moldiff.metrics.groups import DEFAULT_METRICS, check_metrics
from moldiff.metrics.reference import load_reference
from moldiff.metrics.report import Report, check_output

FEW = 500
"""Molecules that are not worth the start of worker processes for the quick scores."""
_NAMED = 10  # so many records are named

LARGE = 2**26
"""Bytes of an .sdf file whose molecules are read one by one, twice or more, in place of all at once."""

BOND_RULES: dict[Bonds, str] = {"rdkit": "RDKit's rdDetermineBonds", "edm": "EDM's table of distances"}
"""How bonds are found, in words."""
NO_BONDS = "the file holds no bonds: those of the strict rule and of the geometry are perceived by {}"
"""A note, to be filled with one of `BOND_RULES`."""


def unreadable(molecules: Sequence[Chem.Mol | None]) -> list[str]:
    """A note that counts and names the records of a file that hold no molecule; empty if all do."""
    places = [str(number) for number, mol in enumerate(molecules, 1) if mol is None]
    if not places:
        return []
    more = ", ..." if len(places) > _NAMED else ""
    return [
        f"{len(places):,} of {len(molecules):,} records are unreadable or without atoms: record "
        f"{', '.join(places[:_NAMED])}{more}"
    ]


def run_evaluate(
    molecules: Path,
    reference: str | None = "qm9",
    out: Path | None = None,
    overwrite: bool = False,
    metrics: Sequence[str] = DEFAULT_METRICS,
    bonds: Bonds = "rdkit",
    workers: int | None = None,
) -> Report:
    """Score the molecules of a file by EDM's rule and by the strict rule, and by the groups `metrics`.

    Args:
        molecules: a .sdf, .sdf.gz, .xyz, .npz or .smi file; each record counts as one requested molecule.
        reference: what the molecules are compared with: "qm9", or a file of one of these kinds; None = nothing.
        out: where to write the report as JSON, besides printing it.
        overwrite: replace `out` if it exists.
        metrics: groups of scores, of `moldiff.metrics.METRICS`.
        bonds: how bonds are found in files without them, see `moldiff.chem.files`.
        workers: processes; if None, one per core that this process may use, unless there is little to do.

    Raises:
        FileNotFoundError: if a file or the folder of `out` does not exist.
        FileExistsError: if `out` exists and `overwrite` is False.
        ValueError: if a file cannot be read, or a group is unknown.
        ModuleNotFoundError: if a group needs a package that is not installed.
    """
    if out is not None:
        check_output(out, overwrite)
    check_metrics(metrics)
    large = molecules.name.lower().endswith(".sdf") and molecules.is_file() and molecules.stat().st_size > LARGE
    mols = RecordFile(molecules) if large else read_molecules(molecules, bonds)
    if workers is None:
        quick = len(mols) < FEW and set(metrics) <= set(DEFAULT_METRICS)
        workers = 1 if quick else joblib.cpu_count()
    known = load_reference(reference, bonds) if reference is not None else None
    sample = load_sample(reference, metrics, workers, bonds) if reference is not None else None
    report = evaluate(mols, known, metrics=metrics, workers=workers, sample=sample)
    if molecules.suffix.lower() in WITHOUT_BONDS:
        report = report.with_note(NO_BONDS.format(BOND_RULES[bonds]))
    for note in unreadable(mols):
        report = report.with_note(note)
    if out is not None:
        report.write_json(out, overwrite)
    sys.stdout.write(f"{molecules}: {report}\n")
    if out is not None:
        sys.stdout.write(f"Written to {out}\n")
    return report
