"""All scores of a set of molecules in one report that can be printed, or written as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from moldiff.chem.text_file import write_text
from moldiff.metrics.calibration import Calibration
from moldiff.metrics.distributions import Distance, DistributionScores
from moldiff.metrics.diversity import DiversityScores
from moldiff.metrics.edm import EDMScores
from moldiff.metrics.energies import RelaxationScores
from moldiff.metrics.fcd import FrechetScore
from moldiff.metrics.mean import Mean
from moldiff.metrics.posebusters import PoseBustersScores
from moldiff.metrics.properties import PropertyScores
from moldiff.metrics.share import Share
from moldiff.metrics.strict import StrictScores
from moldiff.metrics.table import report_table

Score = Share | Mean | Distance | FrechetScore


@dataclass(frozen=True)
class Sizes:
    """Mean sizes of the molecules that exist, valid or not; NaN if there are none."""

    num_molecules: int
    mean_atoms: float
    mean_heavy_atoms: float

    @classmethod
    def of(cls, atoms: Sequence[int], heavy_atoms: Sequence[int]) -> Sizes:
        """Of the numbers of atoms and of heavy atoms of each molecule."""
        n = len(atoms)
        return cls(n, sum(atoms) / n, sum(heavy_atoms) / n) if n else cls(0, math.nan, math.nan)


@dataclass(frozen=True)
class Report:
    """The scores of a set of molecules. A share is of all requested molecules unless its `of` says otherwise."""

    requested: int  # molecules that were asked for
    edm: EDMScores
    strict: StrictScores
    sizes: Sizes
    reference: str | None = None  # what novelty is judged by
    notes: tuple[str, ...] = ()  # what a reader must know about these figures
    connected: Share | None = None  # in one piece by the bonds that they carry, of all requested molecules
    # Groups that were not asked for are None.
    properties: PropertyScores | None = None
    diversity: DiversityScores | None = None
    geometry: DistributionScores | None = None
    strain: RelaxationScores | None = None  # under MMFF94
    xtb: RelaxationScores | None = None  # under GFN2-xTB
    fcd: FrechetScore | None = None
    posebusters: PoseBustersScores | None = None
    calibration: Calibration | None = None  # what molecules of the reference score

    def with_note(self, note: str) -> Report:
        """The same report with one more note."""
        return replace(self, notes=(*self.notes, note))

    def scores(self) -> dict[str, Score]:
        """All shares, means and distances by their path: "edm.molecule_stable", "strict.causes.valence"."""
        return dict(score_paths("", self))

    def figures(self) -> dict[str, float]:
        """The values of `scores`, between 0 and 1 for shares, without those of nothing."""
        values = {row: score.value for row, score in self.scores().items()}
        return {row: value for row, value in values.items() if value is not None and not math.isnan(value)}

    def real(self) -> dict[str, float]:
        """What real molecules score, by the path of the row, where it is known; distances at the size of this set."""
        if self.calibration is None:
            return {}
        sizes = {r: s.num_molecules if isinstance(s, Distance | FrechetScore) else 0 for r, s in self.scores().items()}
        rows = {row: self.calibration.at(row, size) for row, size in sizes.items()}
        return {row: value for row, value in rows.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the JSON file: shares with counts and 95 % intervals; None for a share of nothing."""
        first = ("requested", "reference", "edm", "strict", "sizes", "notes", "connected")
        out = {name: _plain(getattr(self, name)) for name in first}
        groups = (field.name for field in fields(self) if field.name not in (*first, "calibration"))
        out |= {name: _plain(getattr(self, name)) for name in groups if getattr(self, name) is not None}
        if self.calibration is not None:
            out["calibration"] = {"name": self.calibration.name, "values": self.real()}
        return out

    def write_json(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write `to_dict` as JSON, in one step.

        Raises:
            FileExistsError: if the file exists and `overwrite` is False.
            FileNotFoundError: if its folder does not exist.
        """
        write_json(self.to_dict(), Path(path), overwrite)

    def __str__(self) -> str:
        """A table: each score, its 95 % interval, what real molecules score, and the count that it comes from."""
        return report_table(self)


def write_json(values: Mapping[str, Any], path: Path, overwrite: bool = False) -> None:
    """Write values as JSON, in one step; errors as `check_output`."""
    check_output(path, overwrite)
    write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


def check_output(path: Path, overwrite: bool) -> None:
    """Whether a file may be written, before the work is done.

    Raises:
        FileExistsError: if the file exists and `overwrite` is False.
        FileNotFoundError: if its folder does not exist.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder; create it before writing {path.name}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name, or replace it (--overwrite)")


def score_paths(path: str, value: Any) -> Iterator[tuple[str, Score]]:
    """All shares, means and distances inside a value, with their paths, which begin with `path`."""
    if isinstance(value, Share | Mean | Distance | FrechetScore):
        yield path, value
        return
    entries: dict[str, Any] = {}
    if isinstance(value, dict):
        entries = {str(key): entry for key, entry in value.items()}
    elif is_dataclass(value) and not isinstance(value, Calibration):
        entries = {field.name: getattr(value, field.name) for field in fields(value)}
    for name, entry in entries.items():
        yield from score_paths(f"{path}.{name}" if path else name, entry)


def _plain(value: Any) -> Any:
    if isinstance(value, Share):
        number = value.value if value.total else None
        return {
            "value": number,
            "count": value.count,
            "total": value.total,
            "of": value.of,
            "interval": [*value.interval],
        }
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value
