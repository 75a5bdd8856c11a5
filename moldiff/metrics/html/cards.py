"""The gallery and the failures: a card for each molecule, a column for each file if there are several."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from moldiff.metrics.html.drawing import coordinates, drawing
from moldiff.metrics.html.entries import Entry, MoleculeSet
from moldiff.metrics.strict import Cause

_MOST_PROPERTIES, _LONGEST = 20, 200  # of a record that are shown; characters of a text
_LISTED = 40  # records without a molecule that are listed by number


def evenly(entries: Sequence[Entry], most: int) -> list[Entry]:
    """At most so many of them, evenly spaced."""
    count = min(most, len(entries))
    return [entries[k * len(entries) // count] for k in range(count)]


def gallery(sets: Sequence[MoleculeSet], num_shown: int) -> str:
    """Records evenly spaced through each file, valid or not."""
    return _columns(sets, [_cards(k, evenly(s.entries, num_shown)) for k, s in enumerate(sets)])


def failures(sets: Sequence[MoleculeSet], num_shown: int) -> str:
    """How many failed for which reason, and some of them, evenly spaced."""
    return _columns(sets, [_failures_of(k, s, num_shown) for k, s in enumerate(sets)])


def viewer_data(sets: Sequence[MoleculeSet], num_shown: int) -> dict[str, Any]:
    """The coordinates of the molecules on the cards, by the name that the cards give."""
    out = {}
    for k, molecules in enumerate(sets):
        for entry in (*evenly(molecules.entries, num_shown), *_drawn_failures(molecules, num_shown)):
            data = coordinates(entry.mol) if entry.mol is not None else None
            if data is not None:
                out[_name(k, entry)] = data
    return out


def _name(place: int, entry: Entry) -> str:
    return f"{place}-{entry.number}"


def _columns(sets: Sequence[MoleculeSet], bodies: Sequence[str]) -> str:
    if len(sets) == 1:
        return bodies[0]
    heads = [
        f'<h3><span class="key f{k}"></span><span class="name">{escape(s.name)}</span></h3>' for k, s in enumerate(sets)
    ]
    parts = "".join(f"<div>{head}{body}</div>" for head, body in zip(heads, bodies, strict=True))
    return f'<div class="columns">{parts}</div>'


def _cards(place: int, entries: Sequence[Entry]) -> str:
    return f'<div class="cards">{"".join(_card(place, entry) for entry in entries)}</div>'


def _card(place: int, entry: Entry) -> str:
    qed = "" if entry.properties is None else f"{entry.properties.qed:.3f}"
    data = f'data-valid="{int(entry.valid)}" data-novel="{int(entry.novel is True)}" data-qed="{qed}"'
    title = f'<span class="title" title="{escape(entry.title)}">{escape(_cut(entry.title))}</span>'
    back = '<button type="button" class="back" hidden>2D</button>'
    head = f'<div class="head">{title}<span>#{entry.number}</span>{back}</div>'
    return f'<article class="card" {data}>{head}{_view(place, entry)}{_facts(entry)}</article>'


def _view(place: int, entry: Entry) -> str:
    """The drawing, as a button if there are coordinates to show in 3D."""
    picture = ""
    if entry.whole is not None and entry.verdict.cause is not Cause.NO_BONDS:
        picture = drawing(entry.whole, entry.valid, entry.faulty_atoms())
    if entry.mol is None or coordinates(entry.mol) is None:
        return f'<button type="button" class="view" disabled>{picture or "<span>no coordinates</span>"}</button>'
    name = f'data-molecule="{_name(place, entry)}" aria-label="show molecule {entry.number} in 3D"'
    return f'<button type="button" class="view" {name}>{picture or "<span>no drawing: show in 3D</span>"}</button>'


def _facts(entry: Entry) -> str:
    lines = []
    if entry.valid:
        facts = [entry.formula]
        if entry.properties is not None:
            logp = round(entry.properties.logp, 1) + 0.0  # no −0.0
            facts += [f"QED {entry.properties.qed:.2f}", f"SA {entry.properties.sa:.1f}", f"logP {logp:.1f}"]
        listed = " · ".join(f"<span>{escape(fact)}</span>" for fact in facts)
        lines.append(f'<div class="facts">{listed}</div>')
        if entry.novel is not None:
            word = '<span class="novel">novel</span>' if entry.novel else "known"
            lines.append(f"<div>valid, {word}</div>")
        lines.append(f'<div class="smiles">{escape(_cut(entry.verdict.smiles or ""))}</div>')
    else:
        if entry.formula:
            lines.append(f"<div>{escape(entry.formula)}</div>")
        lines.append(f'<div class="reason">{escape(_cut(entry.reason()))}</div>')
    return "".join(lines) + _properties(entry)


def _properties(entry: Entry) -> str:
    """What the record itself says, closed at first."""
    if entry.mol is None:
        return ""
    values = entry.mol.GetPropsAsDict(includePrivate=False, includeComputed=False, autoConvertStrings=False)
    rows = [
        f"<dt>{escape(_cut(str(key)))}</dt><dd>{escape(_cut(str(value)))}</dd>"
        for key, value in list(values.items())[:_MOST_PROPERTIES]
    ]
    return f"<details><summary>properties</summary><dl>{''.join(rows)}</dl></details>" if rows else ""


def _drawn_failures(molecules: MoleculeSet, num_shown: int) -> list[Entry]:
    return evenly([entry for entry in molecules.failed if entry.mol is not None], num_shown)


def _failures_of(place: int, molecules: MoleculeSet, num_shown: int) -> str:
    total = len(molecules.failed)
    if not total:
        return "<p>None: all molecules are valid.</p>"
    counts = [(cause, share.count) for cause, share in molecules.report.strict.causes.items() if share.count]
    rows = "".join(f"<tr><td>{count:,}</td><td>{cause.value}</td></tr>" for cause, count in counts)
    drawn = _drawn_failures(molecules, num_shown)
    missing = [entry.number for entry in molecules.failed if entry.mol is None]
    text = f"{total:,} of {len(molecules.entries):,} molecules failed"
    text += f"; {len(drawn):,} of them are shown, evenly spaced." if len(drawn) < total - len(missing) else "."
    if missing:
        more = ", …" if len(missing) > _LISTED else ""
        text += f" Records without a molecule: {', '.join(map(str, missing[:_LISTED]))}{more}."
    return f'<p>{text}</p><table class="causes">{rows}</table>{_cards(place, drawn)}'


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
