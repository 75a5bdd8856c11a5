"""The scores of many pockets in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moldiff.metrics.pocket.report import SHARES, VALUES, PocketReport, Summary, plain_summary
from moldiff.metrics.share import Share


@dataclass(frozen=True)
class PocketSummary:
    """Scores over pockets: each pocket counts the same, whatever its number of molecules.

    A mean or median over pockets is taken over the pocket's share of all requested molecules, or over the pocket's mean
    of a score. `totals` counts molecules: requested, and with that score.
    """

    num_pockets: int
    requested: int  # molecules, in all pockets
    shares: Mapping[str, Summary]  # name in `SHARES` -> over pockets
    totals: Mapping[str, Share]  # name in `SHARES` -> molecules of all requested
    values: Mapping[str, Summary]  # name in `VALUES` -> over pockets
    scored: Mapping[str, Share]  # name in `VALUES` -> molecules that have a value, of all requested
    reference_shares: Mapping[str, Summary]
    reference_values: Mapping[str, Summary]

    @classmethod
    def of(cls, reports: Sequence[PocketReport]) -> PocketSummary:
        """Of reports made under the same protocol.

        Raises:
            ValueError: if there are none.
        """
        if not reports:
            raise ValueError("Got no reports; expected at least one to summarise")
        requested = sum(len(report.molecules) for report in reports)
        measured = {name for report in reports for name in report.shares}
        shares = {
            name: [share for report in reports if (share := _share(report, name)) is not None]
            for name in SHARES
            if name in measured
        }
        counts = {
            name: sum(report.values[name].count for report in reports if name in report.values) for name in VALUES
        }
        return cls(
            num_pockets=len(reports),
            requested=requested,
            shares={name: Summary.of([share.value for share in found]) for name, found in shares.items() if found},
            totals={
                name: Share(sum(s.count for s in found), sum(s.total for s in found), "requested")
                for name, found in shares.items()
                if found
            },
            values=_over_pockets(reports, lambda report: {k: v.mean for k, v in report.values.items()}),
            scored={name: Share(count, requested, "requested") for name, count in counts.items() if count},
            reference_shares=_over_pockets(reports, lambda r: {k: v.value for k, v in r.reference_shares.items()}),
            reference_values=_over_pockets(reports, lambda r: {k: v.mean for k, v in r.reference_values.items()}),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        parts = {"shares": self.shares, "values": self.values}
        parts |= {"reference_shares": self.reference_shares, "reference_values": self.reference_values}
        return {
            "num_pockets": self.num_pockets,
            "requested": self.requested,
            **{part: {name: plain_summary(v) for name, v in entries.items()} for part, entries in parts.items()},
            "molecules_with": {name: share.count for name, share in {**self.totals, **self.scored}.items()},
        }

    def __str__(self) -> str:
        """A table: mean and median over pockets, with the reference ligands on the right."""
        from moldiff.metrics.pocket.table import summary_table

        return summary_table(self)


def _share(report: PocketReport, name: str) -> Share | None:
    """A share of a report; 0 where it says nothing since no molecule is valid."""
    if name not in report.shares and all(scores.cause is not None for scores in report.molecules):
        return Share(0, len(report.molecules), "requested")
    return report.shares.get(name)


def _over_pockets(
    reports: Sequence[PocketReport], read: Callable[[PocketReport], Mapping[str, float]]
) -> dict[str, Summary]:
    found = [read(report) for report in reports]
    names = [name for name in (*SHARES, *VALUES) if any(name in entries for entries in found)]
    return {name: Summary.of([entries.get(name) for entries in found]) for name in names}
