"""A report as a table of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moldiff.metrics.share import Share

if TYPE_CHECKING:
    from moldiff.metrics.report import Report


def report_table(report: Report) -> str:
    """Each share in percent, with its 95 % interval and the counts that it comes from."""
    edm, strict = report.edm, report.strict
    edm_rows = {
        "atom stable": edm.atom_stable,
        "molecule stable": edm.molecule_stable,
        "valid": edm.valid,
        "valid × unique": edm.valid_and_unique,
        "valid × unique × novel": edm.valid_unique_and_novel,
        "unique": edm.unique,
        "novel": edm.novel,
    }
    strict_rows = {
        "valid": strict.valid,
        "valid × unique": strict.valid_and_unique,
        "valid × unique × novel": strict.valid_unique_and_novel,
        "unique": strict.unique,
        "novel": strict.novel,
        "neutral": strict.neutral,
        **{f"not valid: {cause}": share for cause, share in strict.causes.items() if share.count},
    }
    sizes = report.sizes
    lines = [
        f"{report.requested:,} molecules requested; shares in percent, with 95 % intervals and counts",
        "",
        "EDM rule: bonds by a table of distances (Hoogeboom et al. 2022)",
        *(_row(name, share) for name, share in edm_rows.items() if share is not None),
        "",
        "Strict rule: bonds and charges as given, no radicals, one fragment, RDKit sanitizes",
        *(_row(name, share) for name, share in strict_rows.items() if share is not None),
        "",
    ]
    if report.reference is not None:
        lines.append(f"Novel: not in {report.reference}")
    if sizes.num_molecules:
        lines.append(f"Mean size: {sizes.mean_atoms:.1f} atoms, {sizes.mean_heavy_atoms:.1f} of them heavy")
    return "\n".join([*lines, *(f"Note: {note}" for note in report.notes)])


def _row(name: str, share: Share) -> str:
    low, high = share.interval
    interval = f"[{100 * low:5.1f}, {100 * high:5.1f}]" if share.total else ""
    return f"  {name:<24} {_percent(share):>6}  {interval:<14}  {share.count:>9,} / {share.total:,} {share.of}"


def _percent(share: Share) -> str:
    """One decimal; halves are rounded up from the counts, so that 6805 of 10000 is 68.1 on every machine."""
    if not share.total:
        return "–"
    tenths = (2000 * share.count + share.total) // (2 * share.total)
    return f"{tenths // 10}.{tenths % 10}"
