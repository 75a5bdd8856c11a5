"""`moldiff report`: a page on files of molecules."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import joblib
from rdkit import Chem

from moldiff.chem.files import WITHOUT_BONDS, Bonds, known_suffix, read_molecules
from moldiff.chem.text_file import write_text
from moldiff.metrics.command import BOND_RULES, FEW, unreadable
from moldiff.metrics.evaluation import evaluate, load_sample
from moldiff.metrics.groups import DEFAULT_METRICS, check_metrics
from moldiff.metrics.html.entries import MoleculeSet, counts_of, entries_of
from moldiff.metrics.html.page import MOST_FILES, report_page
from moldiff.metrics.hydrogens import FILLED, filled
from moldiff.metrics.reference import Reference, load_reference
from moldiff.metrics.reference.sample import ReferenceSample
from moldiff.metrics.report import check_output


def run_report(
    molecules: Sequence[Path],
    out: Path,
    reference: str | None = "qm9",
    num_shown: int = 100,
    overwrite: bool = False,
    metrics: Sequence[str] = DEFAULT_METRICS,
    bonds: Bonds = "rdkit",
    workers: int | None = None,
) -> None:
    """Write a self-contained HTML page on files of molecules, side by side.

    Args:
        molecules: .sdf, .sdf.gz, .xyz, .npz or .smi files; each record counts as one requested molecule.
        out: .html file to write.
        reference: what the molecules are compared with: "qm9", or a file of one of these kinds; None = nothing.
        num_shown: molecules of each file in the gallery, and of its failures, evenly spaced.
        overwrite: replace `out` if it exists.
        metrics: groups of scores, of `moldiff.metrics.METRICS`.
        bonds: how bonds are found in files without them, see `moldiff.chem.files`.
        workers: processes; if None, one per core that this process may use, unless there is little to do.

    Raises:
        FileNotFoundError: if a file or the folder of `out` does not exist.
        FileExistsError: if `out` exists and `overwrite` is False.
        ValueError: if a file cannot be read, an argument is out of its range, or a group is unknown.
        ModuleNotFoundError: if a group needs a package that is not installed.
    """
    known_suffix(out, (".html", ".htm"))
    check_output(out, overwrite)
    check_metrics(metrics)
    if not 1 <= len(molecules) <= MOST_FILES:
        raise ValueError(f"got {len(molecules)} files of molecules; expected 1 to {MOST_FILES}")
    if num_shown < 0:
        raise ValueError(f"got --num_shown {num_shown}; expected 0 or more")
    read = [read_molecules(path, bonds) for path in molecules]
    if workers is None:
        quick = sum(map(len, read)) < FEW and set(metrics) <= set(DEFAULT_METRICS)
        workers = 1 if quick else joblib.cpu_count()
    known = load_reference(reference, bonds) if reference is not None else None
    sample = load_sample(reference, metrics, workers, bonds) if reference is not None else None
    sets = []
    for name, path, mols in zip(_names(molecules), molecules, read, strict=True):
        found = molecule_set(name, mols, known, sample, metrics, workers)
        if path.suffix.lower() in WITHOUT_BONDS:
            note = f"the file holds no bonds: those that are shown and scored are perceived by {BOND_RULES[bonds]}"
            found = found.with_note(note)
        for note in unreadable(mols):
            found = found.with_note(note)
        sets.append(found)
    write_text(out, report_page(sets, sample, num_shown))
    sys.stdout.write(f"Written to {out}: {_size(out.stat().st_size)}, opens in any browser, without network\n")


def molecule_set(
    name: str,
    molecules: Sequence[Chem.Mol | None],
    reference: Reference | None,
    sample: ReferenceSample | None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int = 1,
) -> MoleculeSet:
    """Score the molecules of a file, and tell of each what the page shows.

    Where no molecule has any hydrogen, they are scored with hydrogens, and a note says so.

    Args:
        name: of the file, as it is shown.
        molecules: its records; None where one cannot be read.
        reference: what novelty is judged by.
        sample: what distributions are compared with.
        metrics: groups of scores.
        workers: processes.

    Raises:
        ValueError: if there are no molecules, or a group is unknown.
    """
    whole, added = filled(molecules)
    report = evaluate(whole, reference, metrics=metrics, workers=workers, sample=sample)
    report = report.with_note(f"the file holds no hydrogens: {FILLED}") if added else report
    entries = entries_of(molecules, whole, reference, workers)
    return MoleculeSet(name, report, entries, counts_of(whole, workers))


def _names(paths: Sequence[Path]) -> list[str]:
    """The names of the files, with their folders where two are the same."""
    names = [path.name for path in paths]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths, strict=True)]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
