"""The page as text: it loads nothing, holds what the report holds, and nothing of a file can break out of its place."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rdkit import Chem

from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.metrics.evaluation import evaluate
from moldiff.metrics.html import run_report
from moldiff.metrics.html.page import script_json
from moldiff.metrics.hydrogens import filled
from moldiff.metrics.strict import Cause
from moldiff.metrics.table import table_sections
from tests.metrics.html.parsed import HOSTILE, Page

FIXTURES = Path(__file__).parents[2] / "fixtures"

MakePage = Callable[..., Page]


@pytest.fixture(scope="module")
def page(make_page: MakePage, mine: Path, ethanol: Path) -> Page:
    return make_page(mine, reference=str(ethanol))


@pytest.fixture(scope="module")
def both(make_page: MakePage, mine: Path) -> Page:
    """Against QM9, beside real molecules."""
    return make_page(mine, FIXTURES / "qm9_200.sdf", num_shown=20)


def test_nothing_is_loaded(both: Page) -> None:
    loading = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "formaction", "ping", "background"}
    links = [v for e in both.elements for name, v in e.attributes.items() if name in loading]
    assert links
    assert [link for link in links if not link.startswith(("#", "data:"))] == []
    assert {e.tag for e in both.elements} & {"base", "iframe", "object", "embed", "img", "video", "audio"} == set()
    assert not re.search(r"@import|url\(", "".join(e.text for e in both.all("style")))
    assert [e for e in both.elements for name in e.attributes if name.startswith("on")] == []


def test_policy_allows_the_two_scripts_and_no_network(both: Page) -> None:
    policies = [e.attributes["content"] for e in both.all("meta") if "http-equiv" in e.attributes]
    assert len(policies) == 1
    rules = dict(rule.strip().split(" ", 1) for rule in policies[0].split(";"))
    assert rules["default-src"] == "'none'"
    scripts = [e.text for e in both.all("script") if "type" not in e.attributes]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert rules["script-src"].split() == [f"'sha256-{text}'" for text in hashes]
    assert not {"connect-src", "frame-src"} & set(rules)


def test_texts_of_the_file_are_escaped(page: Page) -> None:
    assert "<script>window.hacked" not in page.text
    assert "<img" not in page.text
    assert len(page.all("script")) == 3
    titles = [e.attributes["title"] for e in page.all("span", "title")]
    assert f"{HOSTILE}0" in titles
    assert [e.text for e in page.all("span", "title")][: len(titles)] == titles
    assert f"{HOSTILE}2" in [e.text for e in page.all("dd")]
    assert "note<b>" in [e.text for e in page.all("dt")]


def test_json_cannot_end_its_element() -> None:
    value = {"</script>": "<!-- & -->", "x": [1.5, None]}
    text = script_json(value)
    assert not set("<>&") & set(text)
    assert json.loads(text) == value


def test_cards_count_what_the_report_counts(page: Page, mine: Path, ethanol: Path) -> None:
    report = evaluate(read_molecules(mine), str(ethanol))
    cards = page.all("article", "card")[: report.requested]
    assert len(cards) == report.requested == 5
    assert sum(int(card.attributes["data-valid"]) for card in cards) == report.strict.valid.count == 3
    assert report.strict.novel is not None
    assert sum(int(card.attributes["data-novel"]) for card in cards) == report.strict.novel.count == 2
    assert sum(card.attributes["data-qed"] != "" for card in cards) == 3
    rows = {row.path: row for rows in table_sections(report).values() for row in rows}
    shown = {e.attributes["data-score"]: e.text for e in page.all("tr") if "data-score" in e.attributes}
    assert shown.keys() == rows.keys()
    assert all(rows[path].value in text and rows[path].label.strip() in text for path, text in shown.items())


def test_failures_name_the_reason_and_the_atom(page: Page) -> None:
    reasons = [e.text for e in page.all("div", "reason")]
    assert any(re.fullmatch(r"bonds are missing: O3 has 1 bond, expected 2", text) for text in reasons), reasons
    assert "2 of 5 molecules failed. Records without a molecule: 5." in page.text
    assert [e.text for e in page.all("table", "causes")] == [f"1{Cause.MISSING}1{Cause.RADICAL}"]


def test_files_stand_side_by_side(both: Page, page: Page) -> None:
    assert [e.text for e in both.all("th") if e.attributes.get("colspan") == "2"] == ["mine.sdf", "qm9_200.sdf"]
    rows = {e.attributes["data-score"]: e.text for e in both.all("tr") if "data-score" in e.attributes}
    assert "; real" not in rows["edm.valid"]  # the same beside both
    assert len(re.findall(r"; real \d", rows["geometry.distances.angles"])) == 2  # smaller for the larger file
    assert len(both.all("div", "columns")) == 2  # gallery and failures
    assert page.all("div", "columns") == []
    assert {"real", "f0", "f1"} <= {c for e in both.all("path") for c in e.attributes.get("class", "").split()}
    data = json.loads(next(e.text for e in both.all("script") if e.attributes.get("id") == "molecules"))
    wanted = {e.attributes["data-molecule"] for e in both.all("button", "view") if "data-molecule" in e.attributes}
    assert data.keys() == wanted
    assert len([name for name in wanted if name.startswith("1-")]) == 20  # of 200, all of them valid
    assert all(len(m["x"]) == 3 * len(m["e"]) and max(m["b"][::3]) < len(m["e"]) for m in data.values())


def test_molecules_of_heavy_atoms(embed: Callable[[str], Chem.Mol], make_page: MakePage, tmp_path: Path) -> None:
    path = tmp_path / "heavy.sdf"
    with MoleculeWriter(path) as writer:
        for smiles in ("CCO", "c1ccccc1", "CC(=O)N"):
            writer.write(Chem.RemoveHs(embed(smiles)))
    page = make_page(path, reference=None)
    assert [e.attributes["data-valid"] for e in page.all("article")] == ["1"] * 3
    assert "the file holds no hydrogens" in page.text
    data = json.loads(next(e.text for e in page.all("script") if e.attributes.get("id") == "molecules"))
    assert data["0-1"]["e"] == ["C", "C", "O"]
    assert not [e for e in page.all("input") if e.attributes["name"] == "novel"]  # there is no reference


def test_hydrogens_are_put_where_they_belong(embed: Callable[[str], Chem.Mol]) -> None:
    heavy = [Chem.RemoveHs(embed(smiles)) for smiles in ("CCO", "c1ccccc1", "CC(=O)N")]
    whole, added = filled([*heavy, None])
    assert added
    assert whole[3] is None
    for mol in whole[:3]:
        assert mol is not None
        distances = Chem.Get3DDistanceMatrix(mol)
        lengths = [distances[b.GetBeginAtomIdx(), b.GetEndAtomIdx()] for b in mol.GetBonds()]
        assert max(lengths) < 1.6
        assert distances[distances > 0].min() > 0.9
    same, added = filled(whole)
    assert not added
    assert same == whole


def test_nothing_but_failures(make_page: MakePage, tmp_path: Path) -> None:
    path = tmp_path / "failed.sdf"
    with MoleculeWriter(path) as writer:
        for _ in range(3):
            writer.write(None)
    page = make_page(path)
    assert "3 of 3 molecules failed" in page.text
    assert "There is nothing to plot." in page.text


def test_molecules_without_coordinates(make_page: MakePage, ethanol: Path) -> None:
    page = make_page(ethanol)
    assert all("disabled" in e.attributes for e in page.all("button", "view"))
    assert [e.text for e in page.all("div", "smiles")] == ["CCO", "CCN"]
    assert page.all("svg")


def test_refusals(mine: Path, tmp_path: Path, ethanol: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match=r"report\.html exists"):
        run_report([mine], out)
    assert out.read_text() == "mine"
    run_report([mine], out, str(ethanol), overwrite=True)
    assert out.read_text().startswith("<!DOCTYPE html>")
    new = tmp_path / "new.html"
    with pytest.raises(FileNotFoundError, match=r"no\.sdf: no such file"):
        run_report([tmp_path / "no.sdf"], new)
    with pytest.raises(ValueError, match=r"expected one of \.html"):
        run_report([mine], tmp_path / "report.pdf")
    with pytest.raises(ValueError, match=r"got 7 files.*expected 1 to 6"):
        run_report([mine] * 7, new)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        run_report([mine], tmp_path / "no" / "new.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html"]
