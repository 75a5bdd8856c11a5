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
    rows = [column.get(path) for column in columns]
    real = {row.real for row in rows if row is not None}
    differ = len(real) > 1  # distances depend on the size of the file: each then has its own beside it
    cells = "".join('<td class="value"></td><td class="origin"></td>' if r is None else _cells(r, differ) for r in rows)
    last = f'<td class="real">{"" if differ else escape("".join(real))}</td>' if calibrated else ""
    return f'<tr data-score="{escape(path)}"><th scope="row"{part}>{escape(label.strip())}</th>{last}{cells}</tr>'


def _cells(row: Row, with_real: bool) -> str:
    origin = " ".join(f"{row.interval}  {row.origin}".replace("[", "[ ").split()).replace("[ ", "[")
    origin += f"; real {row.real}" if with_real else ""
    return f'<td class="value">{escape(row.value)}</td><td class="origin">{escape(origin)}</td>'
