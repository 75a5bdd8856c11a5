"""The scores of molecules designed for one pocket, next to its reference ligands under the same protocol."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from moldiff.chem.text_file import write_text
from moldiff.metrics.pocket.scores import PocketScores
from moldiff.metrics.report import check_output
from moldiff.metrics.share import Share

VALUES: dict[str, str] = {
    "heavy_atoms": "heavy atoms",
    "qed": "QED",
    "sa": "SA, (10 − score) / 9",
    "logp": "log P",
    "lipinski": "Lipinski rules of 4",
    "similarity": "similarity to known ligands",
    "strain": "strain, kcal/mol",
    "clashes": "clashes",
    "vina_score": "Vina score, kcal/mol",
    "vina_minimised": "Vina minimised, kcal/mol",
    "vina_docked": "Vina docked, kcal/mol",
    "interaction_similarity": "interactions as reference",
}
"""Scores with a mean and a median: field of `PocketScores` -> name in the table."""

SHARES: dict[str, str] = {
    "valid": "valid (strict)",
    "unique": "valid × unique",
    "no_severe_clash": "no severe clash",
    "posebusters_valid": "PoseBusters-valid",
    "vina_scored": "Vina gave a score",
    "vina_as_reference": "Vina min. ≤ reference",
}
"""Shares of all requested molecules: name in the JSON file -> name in the table."""


@dataclass(frozen=True)
class Summary:
    """Mean and median of the values that exist; NaN if there are none."""

    mean: float
    median: float
    count: int  # of values; what has no value is in neither

    @classmethod
    def of(cls, values: Sequence[float | int | None]) -> Summary:
        """Of the values that are neither None nor NaN."""
        x = np.array([value for value in values if value is not None and not math.isnan(value)], dtype=np.float64)
        return cls(float(x.mean()), float(np.median(x)), len(x)) if len(x) else cls(math.nan, math.nan, 0)


@dataclass(frozen=True)
class PocketReport:
    """The scores of the molecules requested for one pocket, and of its reference ligands.

    A share is of all requested molecules. A mean or median is of the valid molecules for which a score could be
    computed: their number stands beside it. A molecule that failed has a `PocketScores` too, with its cause.
    """

    pocket: str
    molecules: tuple[PocketScores, ...]  # one per requested molecule
    reference: tuple[PocketScores, ...] = ()  # under the same protocol
    notes: tuple[str, ...] = ()  # what a reader must know about these figures

    @cached_property
    def shares(self) -> dict[str, Share]:
        """By the names of `SHARES`; those that were not asked for are left out."""
        return _shares(self.molecules, self.reference)

    @cached_property
    def reference_shares(self) -> dict[str, Share]:
        """The same of the reference ligands; empty if there are none."""
        return _shares(self.reference, self.reference)

    @cached_property
    def values(self) -> dict[str, Summary]:
        """By the names of `VALUES`; those that were not asked for are left out."""
        return _values(self.molecules)

    @cached_property
    def reference_values(self) -> dict[str, Summary]:
        """The same of the reference ligands."""
        return _values(self.reference)

    @cached_property
    def checks(self) -> dict[str, Share]:
        """PoseBusters' checks: how many of the valid molecules passed or were not evaluated."""
        tested = [scores.posebusters for scores in self.molecules if scores.posebusters is not None]
        names = list(dict.fromkeys(name for verdicts in tested for name in verdicts))
        return {name: Share(sum(v.get(name) is not False for v in tested), len(tested), "checked") for name in names}

    @cached_property
    def diversity(self) -> float:
        """1 − mean Tanimoto similarity (Morgan, radius 2) of all pairs of valid molecules; NaN of fewer than two."""
        smiles = [scores.smiles for scores in self.molecules if scores.smiles is not None]
        mols = [mol for mol in map(Chem.MolFromSmiles, smiles) if mol is not None]
        make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint
        prints = [make(mol) for mol in mols]
        rows = [DataStructs.BulkTanimotoSimilarity(prints[k], prints[:k]) for k in range(1, len(prints))]
        pairs = [similarity for row in rows for similarity in row]
        return 1.0 - float(np.mean(pairs)) if pairs else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the JSON file, with the scores of every molecule."""
        return {
            "pocket": self.pocket,
            "requested": len(self.molecules),
            "shares": {name: _plain_share(share) for name, share in self.shares.items()},
            "values": {name: plain_summary(value) for name, value in self.values.items()},
            "diversity": _or_none(self.diversity),
            "posebusters": {name: _plain_share(share) for name, share in self.checks.items()},
            "reference_shares": {name: _plain_share(share) for name, share in self.reference_shares.items()},
            "reference_values": {name: plain_summary(value) for name, value in self.reference_values.items()},
            "notes": list(self.notes),
            "molecules": [scores.to_dict() for scores in self.molecules],
            "reference": [scores.to_dict() for scores in self.reference],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> PocketReport:
        """Undo `to_dict`: the scores of the molecules are read, all else follows from them.

        Raises:
            ValueError: if it is not a report on a pocket.
        """
        if not {"pocket", "molecules", "reference"} <= plain.keys():
            raise ValueError("Got no report on a pocket; expected one that `moldiff evaluate --pocket --out` wrote")
        return cls(
            plain["pocket"],
            tuple(map(PocketScores.from_dict, plain["molecules"])),
            tuple(map(PocketScores.from_dict, plain["reference"])),
            tuple(plain.get("notes", ())),
        )

    def write_json(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write `to_dict` as JSON, in one step.

        Raises:
            FileExistsError: if the file exists and `overwrite` is False.
            FileNotFoundError: if its folder does not exist.
        """
        path = Path(path)
        check_output(path, overwrite)
        write_text(path, json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")

    def __str__(self) -> str:
        """Two tables: shares, and means and medians; the reference ligands in the columns on the right."""
        from moldiff.metrics.pocket.table import pocket_table

        return pocket_table(self)


def _shares(molecules: Sequence[PocketScores], reference: Sequence[PocketScores]) -> dict[str, Share]:
    if not molecules:
        return {}
    to_beat = Summary.of([scores.vina_minimised for scores in reference])
    tests: dict[str, Callable[[PocketScores], bool]] = {
        "valid": lambda s: s.cause is None,
        "no_severe_clash": lambda s: s.severe_clashes == 0,
    }
    if any(scores.posebusters is not None for scores in molecules):
        tests["posebusters_valid"] = lambda s: s.posebusters_valid is True
    if any(scores.vina_score is not None or scores.vina_failure is not None for scores in molecules):
        tests["vina_scored"] = lambda s: s.vina_score is not None
        if to_beat.count:
            tests["vina_as_reference"] = lambda s: s.vina_minimised is not None and s.vina_minimised <= to_beat.mean
    counts = {name: sum(test(scores) for scores in molecules) for name, test in tests.items()}
    counts["unique"] = len({scores.smiles for scores in molecules if scores.smiles is not None})
    return {name: Share(counts[name], len(molecules), "requested") for name in SHARES if name in counts}


def _values(molecules: Sequence[PocketScores]) -> dict[str, Summary]:
    found = {name: Summary.of([getattr(scores, name) for scores in molecules]) for name in VALUES}
    return {name: summary for name, summary in found.items() if summary.count}


def _plain_share(share: Share) -> dict[str, Any]:
    return {"value": _or_none(share.value), "count": share.count, "total": share.total, "of": share.of}


def plain_summary(summary: Summary) -> dict[str, Any]:
    """Mean, median and count as plain values; None for NaN."""
    return {"mean": _or_none(summary.mean), "median": _or_none(summary.median), "count": summary.count}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
