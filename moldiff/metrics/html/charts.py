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
_BINS = 48  # of an outline, at most
_WIDEST = {"sizes": 1.0, "angles": 4.0, "torsions": 6.0, "bond lengths": 0.02}  # bins, unless the range asks for more
_KINDS = ("sizes", "atom types", "bond types", "ring sizes", "charges", "valences")
_TYPED = {"bond lengths": "Bond lengths", "angles": "Angles", "torsions": "Torsions"}
_UNITS = {"atom types": "atoms", "bond types": "bonds", "ring sizes": "rings", "charges": "atoms", "valences": "atoms"}
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
        yield _outline(title, quantity, known, found, known.types[0] if known is not None else found[0].types[0])
        return
    every = dict.fromkeys(name for h in (*([known] if known else []), *found) for name in h.types)
    totals = {name: [_share(h, name) for h in (*([known] if known else []), *found)] for name in every}
    names = sorted(totals, key=lambda name: -max(totals[name]))[:_CATEGORIES]
    if quantity.name == "ring sizes":
        names.sort(key=int)
    reference = None if known is None else np.array([_share(known, name) for name in names])
    yield bar_chart(
        title, f"% of {_UNITS[quantity.name]}", names, reference, [_shares(h, names) if h.types else None for h in found]
    )


def _typed(quantity: Quantity, known: Histograms | None, found: Sequence[Histograms]) -> Iterator[str]:
    first = known if known is not None else max(found, key=lambda h: float(h.counts.sum()))
    common = sorted(first.types, key=lambda kind: (-first.aligned([kind]).sum(), kind))
    there = {kind for h in found for kind in h.types}
    for kind in [kind for kind in common if kind in there][:_TYPES]:
        yield _outline(kind, quantity, known, found, kind)


def _outline(
    title: str, quantity: Quantity, known: Histograms | None, found: Sequence[Histograms], kind: str
) -> str:
    reference = None if known is None else known.aligned([kind])[0]
    models = [h.aligned([kind])[0] if kind in h.types else None for h in found]
    rows = [row for row in (reference, *models) if row is not None and row.sum()]
    low, high = min(_quantile(row, 0.005) for row in rows), max(_quantile(row, 0.995) for row in rows) + 1
    width = quantity.width or 1.0
    least = max(1, round(_WIDEST[quantity.name] / width))
    step = max(1, min(least, (high - low) // 12 or 1), -(-(high - low) // _BINS))
    count = -(-(high - low) // step) + 2
    low = max(0, low - step)
    count = min(count, -(-(quantity.num_bins - low) // step))
    edges = quantity.low + width * (low + step * np.arange(count + 1))
    if quantity.unit == "°":
        edges = np.minimum(edges, 180.0 + width)

    def coarse(row: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        if row is None:
            return None
        cut = np.zeros(count * step)
        part = row[low : low + count * step]
        cut[: len(part)] = part
        return np.asarray(cut.reshape(count, step).sum(1))

    return step_chart(title, quantity.unit, edges, coarse(reference), [coarse(row) for row in models])


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
