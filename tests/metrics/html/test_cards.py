"""Cards, and how many of what is told: limits are kept, and what is left out is said."""

import re
from dataclasses import replace

import pytest
from rdkit import Chem

from moldiff.metrics.html.cards import evenly, failures, gallery, viewer_data
from moldiff.metrics.html.command import molecule_set
from moldiff.metrics.html.entries import Entry, MoleculeSet
from moldiff.metrics.html.page import report_page
from moldiff.metrics.html.scores import score_table
from moldiff.metrics.reference import Reference
from moldiff.metrics.strict import Cause, StrictVerdict
from tests.metrics.html.parsed import Page

NOTHING = Entry(1, None, None, StrictVerdict(Cause.MISSING))


def molecules(*mols: Chem.Mol | None, reference: Reference | None = None) -> MoleculeSet:
    return molecule_set("a.sdf", mols, reference, None, metrics=("properties",))


@pytest.mark.parametrize("most", [0, 1, 3, 7, 10, 11, 100])
def test_evenly(most: int) -> None:
    """In order, none twice, as many as may be, with gaps that differ by one at most, from the first one on."""
    entries = [replace(NOTHING, number=k) for k in range(10)]
    numbers = [entry.number for entry in evenly(entries, most)]
    assert len(numbers) == len(set(numbers)) == min(most, 10)
    assert numbers == sorted(numbers)
    assert numbers[:1] == [0][:most]
    gaps = {b - a for a, b in zip(numbers, [*numbers[1:], 10], strict=False)}
    assert max(gaps, default=0) - min(gaps, default=0) <= 1
    assert evenly([], most) == []


def test_a_long_list_of_records_is_cut() -> None:
    for count, more in ((40, False), (41, True)):
        text = failures([molecules(*[None] * count)], 10)
        numbers, dots = re.findall(r"Records without a molecule: ([\d, ]+)(, …)?\.", text)[0]
        assert numbers == ", ".join(str(k + 1) for k in range(40))
        assert bool(dots) is more


def test_failures_that_are_not_drawn_are_counted(embed) -> None:
    broken = Chem.RWMol(embed("CCO"))
    broken.RemoveAtom(broken.GetNumAtoms() - 1)
    some = molecules(*[broken.GetMol()] * 3, None, embed("C"))
    for most, text in (
        (2, "4 of 5 molecules failed; 2 of them are shown, evenly spaced."),
        (3, "4 of 5 molecules failed."),
    ):
        assert text in failures([some], most)
        assert failures([some], most).count("<article") == most
    assert "Records without a molecule: 4." in failures([some], 3)
    assert failures([molecules(embed("C"))], 3) == "<p>None: all molecules are valid.</p>"


def test_long_texts_are_cut_and_many_properties(embed) -> None:
    mol = embed("C")
    for name, length in (("whole", 200), ("cut", 201)):
        mol.SetProp(name, "x" * length)
    texts = [e.text for e in Page(gallery([molecules(mol)], 1)).all("dd")]
    assert texts == ["x" * 200, "x" * 200 + "…"]
    for count, shown in ((20, 20), (21, 20)):
        many = embed("C")
        for k in range(count):
            many.SetProp(f"p{k}", str(k))
        assert len(Page(gallery([molecules(many)], 1)).all("dd")) == shown


def test_facts_of_a_valid_molecule(embed) -> None:
    known = Reference.of_smiles("mine", ["CCO"])
    page = Page(gallery([molecules(embed("CCO"), embed("CCN"), reference=known)], 2))
    (first, second) = page.all("article", "card")
    assert [first.attributes[f"data-{name}"] for name in ("valid", "novel", "qed")] == ["1", "0", "0.407"]
    assert [second.attributes[f"data-{name}"] for name in ("valid", "novel")] == ["1", "1"]
    assert next(e.text for e in page.all("div", "facts")).split(" · ") == ["C2H6O", "QED 0.41", "SA 2.0", "logP 0.0"]
    assert ("valid, known" in first.text, "valid, novel" in second.text) == (True, True)
    alone = Page(gallery([molecules(embed("CCO"))], 1))
    assert "valid," not in alone.all("article", "card")[0].text  # no reference to say so
    assert "-0.0" not in first.text


def test_what_cannot_be_seen_in_3d_is_no_button(embed) -> None:
    atoms = embed("C")
    loose = Chem.RWMol()
    for atom in atoms.GetAtoms():
        loose.AddAtom(Chem.Atom(atom.GetAtomicNum()))
    loose.AddConformer(atoms.GetConformer())
    page = Page(gallery([molecules(atoms, loose.GetMol(), Chem.AddHs(Chem.MolFromSmiles("C")), None)], 9))
    buttons = page.all("button", "view")
    assert ["disabled" in e.attributes for e in buttons] == [False, False, True, True]
    assert [e.text for e in buttons if not e.text.isspace()][1:2] == ["no drawing: show in 3D"]
    assert buttons[3].text == "no coordinates"
    assert [e.attributes.get("data-molecule") for e in buttons] == ["0-1", "0-2", None, None]


def test_the_viewer_has_the_shown_and_the_failed(embed) -> None:
    broken = Chem.RWMol(embed("CCO"))
    broken.RemoveAtom(broken.GetNumAtoms() - 1)
    files = [molecules(*[embed("C")] * 5, broken.GetMol(), None), molecules(embed("C"))]
    assert list(viewer_data(files, 2)) == ["0-1", "0-4", "0-6", "1-1"]
    assert viewer_data(files, 0) == {}
    assert set(viewer_data(files, 9)) == {*(f"0-{k}" for k in range(1, 7)), "1-1"}


def test_rows_of_the_table_are_as_wide_as_its_head(embed) -> None:
    for count in (1, 3):
        page = Page(score_table([molecules(embed("C"))] * count))
        width = sum(int(e.attributes.get("colspan", 1)) for e in page.all("th")[: 1 + count])
        assert width == 1 + 2 * count
        assert {int(e.attributes["colspan"]) for e in page.all("th") if e.attributes.get("scope") == "rowgroup"} == {
            width
        }
        rows = [e for e in page.elements if e.tag == "tr" and "data-score" in e.attributes]
        assert len(page.all("td")) == 2 * count * len(rows)


def test_whether_all_records_are_shown_is_said(embed) -> None:
    two = molecules(embed("C"), None)
    assert "All records, valid or not." in report_page([two], num_shown=2)
    assert "At most 1 records of each file" in report_page([two], num_shown=1)
    assert "At most 1 records of each file" in report_page([molecules(None), two], num_shown=1)
    assert report_page([two] * 6, num_shown=0).count('<article class="card"') == 0
    for count in (0, 7):
        with pytest.raises(ValueError, match=f"Got {count} files; expected 1 to 6"):
            report_page([two] * count)
