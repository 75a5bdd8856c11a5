"""Which distributions are plotted, and over which range: those of the files against those of the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import QED

from moldiff.metrics.distributions.profile import Histograms, gather
from moldiff.metrics.distributions.quantities import QUANTITIES, Quantity
from moldiff.metrics.html.entries import MoleculeSet
from moldiff.metrics.html.plots import bar_chart, step_chart
from moldiff.metrics.reference.sample import ReferenceSample

QED_MOLECULES = 1000
"""Molecules of the reference whose QED is computed, evenly spaced."""

_TYPES = 6  # of bonds, angles and torsions: the commonest of the reference
_CATEGORIES = 8
_MOST_BINS = 44  # of an outline; half as many where values are few
_MANY = 1000  # values
_KINDS = ("sizes", "atom types", "bond types", "ring sizes", "charges")
_TYPED = {"bond lengths": "Bond lengths", "angles": "Angles", "torsions": "Torsions"}
_UNITS = {"atom types": "atoms", "bond types": "bonds", "ring sizes": "rings", "charges": "atoms"}
_Rows = Sequence[NDArray[np.float64] | None]


def charts(sets: Sequence[MoleculeSet], sample: ReferenceSample | None) -> dict[str, list[str]]:
    """SVG charts by the title of their group; what no file has is left out."""
    known = sample.profile.histograms if sample is not None and sample.profile is not None else {}
    found = {name: [gather(s.counts, quantity).histograms() for s in sets] for name, quantity in QUANTITIES.items()}
    kinds = [chart for name in _KINDS for chart in _kind(QUANTITIES[name], known.get(name), found[name])]
    out = {"Sizes, kinds and drug-likeness": [*kinds, *_qed(sets, sample)]}
    for name, title in _TYPED.items():
        out[title] = list(_typed(QUANTITIES[name], known.get(name), found[name]))
    return {title: plots for title, plots in out.items() if plots}


def _kind(quantity: Quantity, known: Histograms | None, found: Sequence[Histograms]) -> Iterator[str]:
    if not any(histograms.types for histograms in found):
        return
    title = quantity.name.capitalize()
    if quantity.width is not None:
        yield _outline(title, quantity, known, found, next(name for h in found for name in h.types))
        return
    every = dict.fromkeys(name for h in (*([known] if known else []), *found) for name in h.types)
    totals = {name: [_share(h, name) for h in (*([known] if known else []), *found)] for name in every}
    if quantity.name == "charges":
        title, totals = "Charged atoms", {name: total for name, total in totals.items() if not name.isalpha()}
    names = sorted(totals, key=lambda name: -max(totals[name]))[:_CATEGORIES]
    if not names:
        return
    if quantity.name == "ring sizes":
        names.sort(key=int)
    reference = None if known is None else np.array([_share(known, name) for name in names])
    yield bar_chart(
        title,
        f"% of {_UNITS[quantity.name]}",
        names,
        reference,
        [_shares(h, names) if h.types else None for h in found],
    )


def _typed(quantity: Quantity, known: Histograms | None, found: Sequence[Histograms]) -> Iterator[str]:
    first = known if known is not None else max(found, key=lambda h: float(h.counts.sum()))
    common = sorted(first.types, key=lambda kind: (-first.aligned([kind]).sum(), kind))
    there = {kind for h in found for kind in h.types}
    for kind in [kind for kind in common if kind in there][:_TYPES]:
        yield _outline(kind, quantity, known, found, kind)


def _outline(title: str, quantity: Quantity, known: Histograms | None, found: Sequence[Histograms], kind: str) -> str:
    """The range holds 99 % of the values of each; the bins are as fine as the numbers of values allow."""
    reference = None if known is None else _whole_degrees(quantity, known.aligned([kind])[0])
    models = [_whole_degrees(quantity, h.aligned([kind])[0]) if kind in h.types else None for h in found]
    rows = [row for row in (reference, *models) if row is not None and row.sum()]
    assert quantity.width is not None
    num_bins = len(rows[0])
    low, high = min(_quantile(row, 0.005) for row in rows), max(_quantile(row, 0.995) for row in rows) + 1
    if quantity.name == "torsions":
        low, high = 0, num_bins
    fewest = min(float(row.sum()) for row in rows)
    bins = _MOST_BINS if fewest > _MANY else _MOST_BINS // 2
    step = -(-(high - low) // bins)
    low = max(0, low - step)
    count = -(-(min(high + step, num_bins) - low) // step)
    edges = quantity.low + quantity.width * np.minimum(low + step * np.arange(count + 1), num_bins)

    def coarse(row: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        if row is None:
            return None
        cut = np.zeros(count * step)
        part = row[low : low + count * step]
        cut[: len(part)] = part
        return np.asarray(cut.reshape(count, step).sum(1))

    return step_chart(title, quantity.unit, edges, coarse(reference), [coarse(row) for row in models])


def _whole_degrees(quantity: Quantity, row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles end at 180°: what is exactly there goes to the bin below."""
    if quantity.unit != "°":
        return row
    return np.append(row[:-2], row[-2] + row[-1])


def _qed(sets: Sequence[MoleculeSet], sample: ReferenceSample | None) -> Iterator[str]:
    models = [[e.properties.qed for e in s.entries if e.properties is not None] for s in sets]
    if not any(models):
        return
    edges = np.linspace(0.0, 1.0, 26)
    rows: _Rows = [np.histogram(values, edges)[0].astype(float) if values else None for values in models]
    reference = None
    if sample is not None and sample.smiles:
        some = sample.smiles[:: -(-len(sample.smiles) // QED_MOLECULES)]
        mols = [mol for mol in map(Chem.MolFromSmiles, some) if mol is not None]
        values = [QED.qed(mol) for mol in mols]  # type: ignore[no-untyped-call]
        reference = np.histogram(values, edges)[0].astype(float)
    yield step_chart("QED of valid molecules", "", edges, reference, rows)


def _quantile(row: NDArray[np.float64], share: float) -> int:
    """The bin below which a share of the values lies."""
    return int(np.searchsorted(np.cumsum(row), share * row.sum()))


def _share(histograms: Histograms, name: str) -> float:
    total = float(histograms.counts.sum())
    return float(histograms.aligned([name]).sum()) / total if total else 0.0


def _shares(histograms: Histograms, names: Sequence[str]) -> NDArray[np.float64]:
    return np.array([_share(histograms, name) for name in names])
