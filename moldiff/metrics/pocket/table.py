"""Reports on pockets as tables of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from moldiff.metrics.pocket.report import SHARES, VALUES, Summary

if TYPE_CHECKING:
    from moldiff.metrics.pocket.report import PocketReport
    from moldiff.metrics.pocket.summary import PocketSummary


def pocket_table(report: PocketReport) -> str:
    """Shares of all requested molecules; means and medians of those that have a value; reference on the right."""
    total = len(report.molecules)
    lines = [
        f"{total:,} molecules requested for {report.pocket}; reference ligands: {len(report.reference)}",
        "",
        f"  {'% of all requested':<28} {'designs':>8} {'95 % interval':>16} {'count':>8}   {'reference':>9}",
    ]
    for name, share in report.shares.items():
        low, high = share.interval
        other = report.reference_shares.get(name)
        lines.append(
            f"  {SHARES[name]:<28} {100 * share.value:>8.1f} {f'[{100 * low:.1f}, {100 * high:.1f}]':>16} "
            f"{share.count:>8,}   {'–' if other is None else f'{100 * other.value:.1f}':>9}"
        )
    lines += ["", *_value_rows(report.values, report.reference_values, {k: v.count for k, v in report.values.items()})]
    if report.diversity == report.diversity:
        lines.append(f"  {'diversity':<28} {report.diversity:>8.2f}")
    failed = [f"{name} {s.total - s.count}" for name, s in report.checks.items() if s.count < s.total]
    if failed:
        lines += ["", "Failed checks of PoseBusters: " + ", ".join(failed)]
    reasons = Counter(scores.vina_failure for scores in report.molecules if scores.vina_failure is not None)
    if reasons:
        lines += ["", "Vina failed: " + ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())]
    return "\n".join([*lines, *(f"Note: {note}" for note in report.notes)])


def summary_table(summary: PocketSummary) -> str:
    """Mean and median over pockets; the number of molecules behind them; reference on the right."""
    lines = [
        f"{summary.num_pockets:,} pockets, {summary.requested:,} molecules requested; each pocket counts the same",
        "",
        f"  {'':<28} {'mean':>8} {'median':>8} {'count':>8}   {'reference':>9} {'median':>8}",
    ]
    for name, values in summary.shares.items():
        other = summary.reference_shares.get(name)
        cells = _cells(other, 100.0, 1)
        lines.append(
            f"  {SHARES[name] + ', %':<28} {100 * values.mean:>8.1f} {100 * values.median:>8.1f} "
            f"{summary.totals[name].count:>8,}   {cells}"
        )
    rows = _value_rows(
        summary.values, summary.reference_values, {name: share.count for name, share in summary.scored.items()}
    )
    return "\n".join([*lines, "", *rows])


def _value_rows(
    values: Mapping[str, Summary], reference: Mapping[str, Summary], counts: Mapping[str, int]
) -> list[str]:
    heads = "of those that have a value", "mean", "median", "count", "reference", "median"
    rows = ["  {:<28} {:>8} {:>8} {:>8}   {:>9} {:>8}".format(*heads)]
    for name, value in values.items():
        rows.append(
            f"  {VALUES[name]:<28} {value.mean:>8.2f} {value.median:>8.2f} {counts[name]:>8,}   "
            f"{_cells(reference.get(name), 1.0, 2)}"
        )
    return rows


def _cells(summary: Summary | None, factor: float, decimals: int) -> str:
    if summary is None:
        return f"{'–':>9} {'–':>8}"
    return f"{factor * summary.mean:>9.{decimals}f} {factor * summary.median:>8.{decimals}f}"
