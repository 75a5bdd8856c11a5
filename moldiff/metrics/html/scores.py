"""The table of scores: a row for each score, columns for each file, one for real molecules."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from moldiff.metrics.html.entries import MoleculeSet
from moldiff.metrics.table import Row, remarks, table_sections


def score_table(sets: Sequence[MoleculeSet]) -> str:
    """The rows of the reports, side by side; a score that a file does not have stays empty."""
    tables = [table_sections(s.report) for s in sets]
    calibrated = any(s.report.calibration is not None for s in sets)
    heads = "".join(f'<th colspan="2"><span class="key f{k}"></span>{escape(s.name)}</th>' for k, s in enumerate(sets))
    real = '<th class="right">real</th>' if calibrated else ""
    width = 1 + 2 * len(sets) + calibrated
    body = []
    for title in dict.fromkeys(title for table in tables for title in table):
        body.append(f'<tr class="section"><th colspan="{width}" scope="rowgroup">{escape(title)}</th></tr>')
        columns = [{row.path: row for row in table.get(title, [])} for table in tables]
        labels = {path: row.label for column in columns for path, row in column.items()}
        body += [_row(path, label, columns, calibrated) for path, label in labels.items()]
    return f"<table><thead><tr><th></th>{real}{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def remark_list(sets: Sequence[MoleculeSet]) -> str:
    """What a reader must know about the table: once for all files, or with the file's name."""
    each = [remarks(s.report) for s in sets]
    lines = []
    for line in dict.fromkeys(line for own in each for line in own):
        names = [s.name for s, own in zip(sets, each, strict=True) if line in own]
        lines.append(line if len(names) == len(sets) else f"{', '.join(names)}: {line}")
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="remarks">{items}</ul>' if items else ""


def _row(path: str, label: str, columns: Sequence[dict[str, Row]], calibrated: bool) -> str:
    part = ' class="part"' if label.startswith("  ") else ""
    cells, real = [], []
    for column in columns:
        row = column.get(path)
        cells.append('<td class="value"></td><td class="origin"></td>' if row is None else _cells(row))
        real += [] if row is None or row.real in real else [row.real]
    last = f'<td class="real">{escape(" / ".join(real))}</td>' if calibrated else ""
    return (
        f'<tr data-score="{escape(path)}"><th scope="row"{part}>{escape(label.strip())}</th>{last}{"".join(cells)}</tr>'
    )


def _cells(row: Row) -> str:
    origin = " ".join(f"{row.interval}  {row.origin}".replace("[", "[ ").split()).replace("[ ", "[")
    return f'<td class="value">{escape(row.value)}</td><td class="origin">{escape(origin)}</td>'
