"""A report as a table of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moldiff.metrics.distributions import Distance
from moldiff.metrics.fcd import FrechetScore
from moldiff.metrics.mean import Mean
from moldiff.metrics.share import Interval, Share

if TYPE_CHECKING:
    from moldiff.metrics.report import Report, Score

_SECTIONS = {  # beginning of a row's path -> title
    "edm.": "EDM rule: bonds by a table of distances (Hoogeboom et al. 2022)",
    "strict.": "Strict rule: bonds and charges as given, no radicals, one fragment, RDKit sanitizes",
    "connected": "Bonds as given",
    "properties.": "Properties of the valid molecules (strict rule), by RDKit",
    "diversity.": "Diversity of the valid molecules (strict rule): Morgan fingerprints, Bemis–Murcko scaffolds",
    "geometry.": "Distance from the reference's distributions: Wasserstein-1 in a unit, else Jensen–Shannon (0 to 1)",
    "strain.": "Relaxation of the valid molecules (strict rule) under MMFF94",
    "xtb.": "Relaxation of the valid molecules (strict rule) under GFN2-xTB",
    "fcd": "Fréchet ChemNet Distance of the valid molecules (strict rule)",
    "posebusters.": "PoseBusters, without its energy check",
}
_LABELS = {
    "valid_and_unique": "valid × unique",
    "valid_unique_and_novel": "valid × unique × novel",
    "qed": "QED",
    "sa": "SA (1 easy – 10 hard)",
    "logp": "logP",
    "tpsa": "TPSA",
    "lipinski": "Lipinski's rule of five",
    "energy": "strain energy",
    "rmsd": "RMSD",
    "connected": "in one piece",
    "fcd": "FCD",
}
_TYPES_SHOWN = 3  # of bonds, angles and torsions, the commonest first


@dataclass(frozen=True)
class Row:
    """One score as text."""

    path: str  # "strict.causes.valence"
    label: str  # of a part of the score above it: begins with two blanks
    value: str  # of shares in percent
    interval: str  # 95 %; empty if there is none
    real: str  # what real molecules score, or –
    origin: str  # the counts that it comes from


def table_sections(report: Report) -> dict[str, list[Row]]:
    """The rows of each section of the table, by its title, without empty sections."""
    scores, real = report.scores(), report.real()
    sections = {
        title: [_row(path, label, scores[path], real.get(path)) for path, label in _labelled(scores, prefix)]
        for prefix, title in _SECTIONS.items()
    }
    return {title: rows for title, rows in sections.items() if rows}


def report_table(report: Report) -> str:
    """Each share in percent, each mean, each distance, with its 95 % interval and the counts that it comes from."""
    calibrated = report.calibration is not None
    lines = [f"{report.requested:,} molecules requested; shares in percent, with 95 % intervals and counts"]
    if calibrated:
        lines += ["", f"  {'':<24} {'score':>6}  {'95 % interval':<16}  {'real':>6}"]
    for title, rows in table_sections(report).items():
        lines += ["", title, *(_line(row, calibrated) for row in rows)]
    return "\n".join([*lines, "", *remarks(report)])


def remarks(report: Report) -> list[str]:
    """What a reader must know to understand the table, a line each."""
    lines = []
    if report.reference is not None:
        lines.append(f"Novel: not in {report.reference}")
    if report.calibration is not None:
        lines.append(f"Real: the same score of {report.calibration.name}; for a distance, of as many as there are here")
    if report.sizes.num_molecules:
        sizes = report.sizes
        lines.append(f"Mean size: {sizes.mean_atoms:.1f} atoms, {sizes.mean_heavy_atoms:.1f} of them heavy")
    return [*lines, *(f"Note: {note}" for note in report.notes)]


def _labelled(scores: dict[str, Score], prefix: str) -> Iterator[tuple[str, str]]:
    """Path and label of the rows of a section."""
    for path, score in scores.items():
        if not path.startswith(prefix) or path.startswith("geometry.by_type."):
            continue
        name = path.removeprefix(prefix)
        if name.startswith("causes."):
            if isinstance(score, Share) and score.count:
                yield path, f"not valid: {name.removeprefix('causes.')}"
            continue
        name = name.split(".")[-1] or prefix
        yield path, _LABELS.get(name, name.replace("_", " "))
        of_types = f"geometry.by_type.{name}."
        for typed in [path for path in scores if path.startswith(of_types)][:_TYPES_SHOWN]:
            yield typed, f"  {typed.removeprefix(of_types)}"


def _row(path: str, label: str, score: Score, real: float | None) -> Row:
    return Row(path, label, _value(score), _interval(score), _figure(score, real), _origin(score))


def _line(row: Row, calibrated: bool) -> str:
    middle = (f"{row.real:>6}  " if calibrated else "") + row.origin
    return f"  {row.label:<24} {row.value:>6}  {row.interval:<16}  {middle}".rstrip()


def _value(score: Score) -> str:
    return _percent(score) if isinstance(score, Share) else _number(score.value)


def _figure(score: Score, value: float | None) -> str:
    return _number(None if value is None else 100 * value, 1) if isinstance(score, Share) else _number(value)


def _interval(score: Score) -> str:
    if isinstance(score, Share):
        low, high = score.interval
        return f"[{100 * low:5.1f}, {100 * high:5.1f}]" if score.total else ""
    interval: Interval | None = None if isinstance(score, FrechetScore) else score.interval
    return f"[{_number(interval.low):>5}, {_number(interval.high):>5}]" if interval is not None else ""


def _origin(score: Score) -> str:
    if isinstance(score, Share):
        return f"{score.count:>9,} / {score.total:,} {score.of}"
    if isinstance(score, Mean):
        unit = f" {score.unit}" if score.unit else ""
        return f"{score.count:>9,} {score.of}, median {_number(score.median)}{unit}"
    if isinstance(score, Distance):
        unit = f" ({score.unit})" if score.unit else ""
        types = f", {score.num_types} of {score.reference_types} types" if score.reference_types > 1 else ""
        return f"{score.num_values:>9,} in {score.num_molecules:,} molecules{types}{unit}"
    return f"{score.num_molecules:>9,} against {score.num_reference:,}"


def _number(value: float | None, decimals: int | None = None) -> str:
    if value is None:
        return "–"
    if decimals is None:
        size = abs(value)
        decimals = 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.05 or size == 0 else 4
    return f"{value:.{decimals}f}"


def _percent(share: Share) -> str:
    """One decimal; halves are rounded up from the counts, so that 6805 of 10000 is 68.1 on every machine."""
    if not share.total:
        return "–"
    tenths = (2000 * share.count + share.total) // (2 * share.total)
    return f"{tenths // 10}.{tenths % 10}"
