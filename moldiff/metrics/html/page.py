"""Puts the page together: one HTML file that loads nothing, and allows no script but its own."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

import moldiff
from moldiff.chem.view import viewer_asset
from moldiff.metrics.html.cards import failures, gallery, viewer_data
from moldiff.metrics.html.charts import QED_MOLECULES, charts
from moldiff.metrics.html.entries import MoleculeSet
from moldiff.metrics.html.scores import remark_list, score_table
from moldiff.metrics.reference.sample import ReferenceSample

MOST_FILES = 6
"""Files side by side: as many as there are colours."""


def report_page(sets: Sequence[MoleculeSet], sample: ReferenceSample | None = None, num_shown: int = 100) -> str:
    """The page on one or more files of molecules, as HTML.

    Args:
        sets: the files, in the order of their columns; each has at least one record.
        sample: the reference that distributions are drawn against.
        num_shown: molecules of each file in the gallery, and of its failures, evenly spaced.

    Raises:
        ValueError: if there are no files, or too many.
    """
    if not 1 <= len(sets) <= MOST_FILES:
        raise ValueError(
            f"Got {len(sets)} files; expected 1 to {MOST_FILES}: each has a column and a colour of its own"
        )
    viewer, script = viewer_asset("3Dmol-min.js"), asset("page.js")
    novel = any(s.report.reference is not None for s in sets)
    calibrated = any(s.report.calibration is not None for s in sets)
    return _filled_in(
        asset("page.html"),
        {
            "POLICY": _policy(viewer, script),
            "TITLE": escape(f"moldiff: {', '.join(s.name for s in sets)}"),
            "STYLE": asset("page.css"),
            "FILES": "".join(_file(k, s) for k, s in enumerate(sets)),
            "REAL": " In grey, under <em>real</em>: what real molecules score." if calibrated else "",
            "TABLE": score_table(sets),
            "REMARKS": remark_list(sets),
            "LEGEND": _legend(sets, sample),
            "CHARTS": _charts(sets, sample),
            "CHOICE": _choice(sets, num_shown),
            "NOVEL": '<label><input type="checkbox" name="novel"> novel</label>' if novel else "",
            "GALLERY": gallery(sets, num_shown),
            "FAILURES": failures(sets, num_shown),
            "VERSION": moldiff.__version__,
            "LICENCE": escape(viewer_asset("3Dmol-LICENSE.txt")),
            "DATA": script_json(viewer_data(sets, num_shown)),
            "VIEWER": viewer,
            "SCRIPT": script,
        },
    )


def asset(name: str) -> str:
    """The text of a file that comes with the page."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def script_json(value: Any) -> str:
    """JSON that may stand in a script element: it holds no <, > or &, and so cannot end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _filled_in(template: str, parts: dict[str, str]) -> str:
    """Each @NAME@ of the template replaced, in one pass: what is put in is not looked at again."""
    return re.sub(r"@([A-Z]+)@", lambda match: parts[match[1]], template)


def _policy(*scripts: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{text}'" for text in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _file(place: int, molecules: MoleculeSet) -> str:
    valid = molecules.report.strict.valid
    text = f"{valid.total:,} molecules, {valid.count:,} of them valid"
    return f'<li><span class="key f{place}"></span><span class="name">{escape(molecules.name)}</span>: {text}</li>'


def _legend(sets: Sequence[MoleculeSet], sample: ReferenceSample | None) -> str:
    parts = [f'<span class="key f{k}"></span>{escape(s.name)}' for k, s in enumerate(sets)]
    text = "All molecules of each file, valid or not; outlines are scaled to the same area."
    if sample is not None:
        parts.insert(0, f'<span class="key"></span>{escape(sample.name)}')
        text += f" QED of the reference is that of at most {QED_MOLECULES:,} molecules."
    return "&ensp; ".join(parts) + f"<br>{text}"


def _charts(sets: Sequence[MoleculeSet], sample: ReferenceSample | None) -> str:
    groups = charts(sets, sample)
    if not groups:
        return "<p>There is nothing to plot.</p>"
    return "".join(f'<h3>{escape(t)}</h3><div class="charts">{"".join(plots)}</div>' for t, plots in groups.items())


def _choice(sets: Sequence[MoleculeSet], num_shown: int) -> str:
    if all(len(s.entries) <= num_shown for s in sets):
        return "All records, valid or not."
    return (
        f"At most {num_shown:,} records of each file, evenly spaced through it, valid or not: nobody has picked them."
    )
