"""What the charts show: the range that holds the values, bins as fine as their number allows, the commonest kinds."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from moldiff.chem.files import MoleculeWriter
from moldiff.metrics.calibration import Calibration
from moldiff.metrics.distributions import Profile
from moldiff.metrics.distributions.quantities import QUANTITIES
from moldiff.metrics.html import charts as module
from moldiff.metrics.html import run_report
from moldiff.metrics.html.charts import charts
from moldiff.metrics.html.entries import Entry, MoleculeSet
from moldiff.metrics.properties import Properties
from moldiff.metrics.reference.sample import ReferenceSample
from moldiff.metrics.strict import StrictVerdict

Counts = dict[str, dict[tuple[str, int], int]]


@dataclass
class Drawn:
    """The numbers of one chart."""

    title: str
    unit: str
    across: Any  # edges of bins, or names
    reference: Any
    models: list[Any]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Drawn]]:
    """Charts by their title, as numbers."""

    def draw(*files: Counts, reference: Counts | None = None) -> dict[str, Drawn]:
        found: list[Drawn] = []
        for name in ("step_chart", "bar_chart"):
            monkeypatch.setattr(module, name, lambda *parts: found.append(Drawn(*parts)) or "chart")
        sample = None
        if reference is not None:
            sample = ReferenceSample("known", (), Profile.of([reference]), Calibration("known"))
        sets = [MoleculeSet(f"f{k}", cast("Any", None), (), (counts,)) for k, counts in enumerate(files)]
        titles = charts(sets, sample)
        assert sum(map(len, titles.values())) == len(found)
        return {chart.title: chart for chart in found}

    return draw


def spread(first: int, last: int, total: int, kind: str = "C-C", name: str = "bond lengths") -> Counts:
    """So many values, evenly over bins."""
    places = Counter(first + k * (last - first + 1) // total for k in range(total))
    return {name: {(kind, place): count for place, count in places.items()}}


@pytest.mark.parametrize(
    ("used", "total", "width"),
    [(44, 1001, 1), (45, 1001, 2), (22, 1000, 1), (23, 1000, 2), (44, 1000, 2), (88, 4000, 2), (89, 4000, 3)],
)
def test_bins_are_as_fine_as_the_number_of_values_allows(drawn, used: int, total: int, width: int) -> None:
    """44 in the range of the values if there are more than 1,000, else 22; and one on each side."""
    chart = drawn(spread(1000, 999 + used, total))["C-C"]
    steps = np.diff(chart.across) / 0.001
    assert steps == pytest.approx(width)
    assert chart.across[0] == pytest.approx(0.5 + 0.001 * (1000 - width))
    assert 0.5 + 0.001 * (1000 + used) <= chart.across[-1] - 0.0005
    assert chart.models[0].sum() == total
    assert chart.models[0][0] == 0 < chart.models[0][1]
    assert len(chart.models[0]) <= (44 if total > 1000 else 22) + 2


def test_the_range_holds_99_percent_of_each(drawn) -> None:
    mine, theirs = spread(1000, 1099, 10_000), spread(1200, 1299, 5000)
    mine["bond lengths"] |= {("C-C", 3000): 40, ("C-C", 0): 40}  # outliers
    chart = drawn(mine, reference=theirs)["C-C"]
    assert chart.across[0] > 0.5 + 0.001 * 990
    assert chart.across[-1] < 0.5 + 0.001 * 1320
    assert chart.models[0].sum() == 10_000
    assert chart.reference.sum() == 5000
    assert chart.unit == "Å"


@pytest.mark.parametrize(("first", "last", "edges"), [(0, 9, (0.5, 0.511)), (3490, 3499, (3.989, 4.0))])
def test_the_range_ends_where_the_bins_do(drawn, first: int, last: int, edges: tuple[float, float]) -> None:
    chart = drawn(spread(first, last, 3000))["C-C"]
    assert (chart.across[0], chart.across[-1]) == pytest.approx(edges)
    assert chart.models[0].sum() == 3000
    assert len(chart.models[0]) == 11


def test_the_last_bin_is_cut_where_the_bins_end(drawn) -> None:
    """100 places in bins of 3, of which the last one is not whole."""
    chart = drawn(spread(3400, 3499, 3000))["C-C"]
    assert chart.across[-1] == pytest.approx(4.0)
    assert chart.models[0].sum() == 3000
    assert (np.diff(chart.across) > 0).all()


@pytest.mark.parametrize(("name", "per_degree"), [("torsions", 1), ("angles", 2)])
def test_straight_angles_are_in_the_last_bin(drawn, name: str, per_degree: int) -> None:
    last = 180 * per_degree  # the place of exactly 180°
    counts: Counts = {name: {("A-B-C", last): 5, ("A-B-C", last - 1): 7, ("A-B-C", last - 2): 11}}
    chart = drawn(counts)["A-B-C"]
    assert chart.across[-1] == pytest.approx(180)
    assert chart.models[0].sum() == 23
    assert chart.unit == "°"
    if name == "angles":
        assert chart.models[0][-2:].tolist() == [11, 12]


def test_torsions_are_drawn_from_0_to_180(drawn) -> None:
    chart = drawn(spread(60, 70, 50, "C-C-C-C", "torsions"))["C-C-C-C"]
    assert (chart.across[0], chart.across[-1]) == (0, 180)


def test_the_commonest_types_are_drawn_that_a_file_has(drawn) -> None:
    """Six of those of the reference, equal ones by their names; without one, of the file with most values."""
    known: Counts = {"bond lengths": {(f"type {k}", 900): 100 + (k // 2) for k in range(9)}}
    mine: Counts = {"bond lengths": {(f"type {k}", 900): k for k in (1, 2, 3, 4, 5, 6, 7)} | {("new", 900): 999}}
    by_known = ["type 6", "type 7", "type 4", "type 5", "type 2", "type 3"]
    found = drawn(mine, reference=known)
    assert list(found) == by_known
    assert all(chart.reference is not None for chart in found.values())
    by_own = ["new", "type 7", "type 6", "type 5", "type 4", "type 3"]
    few: Counts = {"bond lengths": {("type 1", 900): 1, ("only here", 900): 3}}
    for files, place in (((mine, few), 0), ((few, mine), 1)):
        found = drawn(*files)
        assert list(found) == by_own
        assert found["new"].reference is None
        assert [found["new"].models[k] is None for k in (place, 1 - place)] == [False, True]


def test_categories_in_the_order_of_their_largest_share(drawn) -> None:
    """At most eight; rings by size; of charges those that are none are left out."""
    many: Counts = {"atom types": {(f"X{k}", 0): k + 1 for k in range(10)}}
    chart = drawn(many, {"sizes": {("atoms", 3): 1}})["Atom types"]
    assert chart.across == [f"X{k}" for k in range(9, 1, -1)]
    assert chart.models[0] == pytest.approx([(k + 1) / 55 for k in range(9, 1, -1)])
    assert chart.models[1] is None
    assert chart.unit == "% of atoms"
    chart = drawn({"atom types": {("C", 0): 3, ("N", 0): 1}}, reference={"atom types": {("N", 0): 9, ("C", 0): 1}})[
        "Atom types"
    ]
    assert chart.across == ["N", "C"]
    assert chart.reference == pytest.approx([0.9, 0.1])
    assert drawn({"ring sizes": {("10", 0): 5, ("6", 0): 9, ("5", 0): 2}})["Ring sizes"].across == ["5", "6", "10"]
    chart = drawn({"charges": {("C", 0): 6, ("N+1", 0): 3, ("O-1", 0): 1}})["Charged atoms"]
    assert chart.across == ["N+1", "O-1"]
    assert chart.models[0] == pytest.approx([0.3, 0.1])
    assert drawn({"charges": {("C", 0): 6}}) == {}


def test_sizes_of_a_file_behind_one_without_molecules(drawn) -> None:
    chart = drawn({}, {"sizes": {("atoms", 9): 4}})["Sizes"]
    assert chart.models[0] is None
    assert chart.models[1].sum() == 4
    assert chart.across[0] == 8
    assert chart.unit == "atoms"


def test_a_page_on_a_file_without_molecules_and_one_with_them(embed, tmp_path: Path) -> None:
    for name, mol in (("none.sdf", None), ("one.sdf", embed("CCO"))):
        with MoleculeWriter(tmp_path / name) as writer:
            writer.write(mol)
    run_report([tmp_path / "none.sdf", tmp_path / "one.sdf"], tmp_path / "a.html", None, num_shown=0, metrics=())
    assert 'aria-label="Sizes"' in (tmp_path / "a.html").read_text()


def qed_set(*values: float | None) -> MoleculeSet:
    properties = [None if v is None else Properties(v, 1.0, 1.0, 1.0, 1.0, 0) for v in values]
    entries = [Entry(k, None, None, StrictVerdict(None, "C"), None, p) for k, p in enumerate(properties)]
    return MoleculeSet("f", cast("Any", None), tuple(entries), ())


def test_qed_in_25_bins_from_0_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Drawn] = []
    monkeypatch.setattr(module, "step_chart", lambda *parts: found.append(Drawn(*parts)) or "chart")
    assert charts([qed_set(0.0, 0.999, 1.0, None), qed_set()], None)
    (chart,) = found
    assert chart.across == pytest.approx(0.04 * np.arange(26))
    assert (chart.models[0][0], chart.models[0][-1], chart.models[0].sum()) == (1, 2, 3)
    assert chart.models[1] is None
    assert chart.reference is None
    assert charts([qed_set(None), qed_set()], None) == {}


@pytest.mark.parametrize(("given", "counted"), [(3, 3), (1000, 1000), (1001, 501), (2001, 667)])
def test_qed_of_at_most_1000_molecules_of_the_reference(
    given: int, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Drawn] = []
    monkeypatch.setattr(module, "step_chart", lambda *parts: found.append(Drawn(*parts)) or "chart")
    monkeypatch.setattr(module.QED, "qed", lambda mol: 0.3)
    for smiles, total in ((("C",) * given, counted), (("C1C", "C"), 1)):
        charts([qed_set(0.5)], ReferenceSample("known", smiles, None, Calibration("known")))
        assert found.pop().reference.sum() == total
    charts([qed_set(0.5)], ReferenceSample("known", (), None, Calibration("known")))
    assert found.pop().reference is None


def test_every_quantity_has_a_chart_but_valences(drawn) -> None:
    places = {"sizes": "atoms", "ring sizes": "6", "charges": "N+1"}
    counts: Counts = {name: {(places.get(name, "C-C"), 5 if q.width else 0): 2} for name, q in QUANTITIES.items()}
    sets = [MoleculeSet("f", cast("Any", None), (), (counts,))]
    found = {title: len(plots) for title, plots in charts(sets, None).items()}
    assert found == {"Sizes, kinds and drug-likeness": 5, "Bond lengths": 1, "Angles": 1, "Torsions": 1}
