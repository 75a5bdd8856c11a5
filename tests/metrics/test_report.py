"""The report, and the command that prints it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rdkit import Chem

import moldiff
from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.chem.files import MoleculeWriter
from moldiff.metrics.command import run_evaluate
from moldiff.metrics.evaluation import evaluate
from moldiff.metrics.reference import Reference
from moldiff.metrics.report import Report
from moldiff.metrics.share import Share
from moldiff.metrics.strict import Cause

Embed = Callable[[str], Chem.Mol]


@pytest.fixture
def report(embed: Embed) -> Report:
    mols = [embed("CCO"), embed("CCO"), embed("C#CC#CC#CC#CC"), None]
    return evaluate(mols, Reference.of_smiles("mine", ["CCO"]), requested=5)


def test_failed_molecules_stay_in_the_denominator(report: Report) -> None:
    assert report.requested == 5
    assert (report.strict.valid.count, report.strict.valid.total) == (3, 5)
    assert (report.edm.molecule_stable.count, report.edm.molecule_stable.total) == (3, 5)
    assert report.strict.causes[Cause.MISSING].count == 2
    assert report.strict.novel is not None
    assert report.edm.novel is not None
    assert (report.strict.novel.count, report.strict.novel.total) == (1, 2)
    assert (report.edm.novel.count, report.edm.novel.total) == (1, 2)
    assert report.sizes.num_molecules == 3
    assert report.sizes.mean_heavy_atoms == pytest.approx(5.0)


def test_the_public_name(embed: Embed) -> None:
    assert moldiff.evaluate([embed("C")]).strict.valid.count == 1


def test_table_shows_counts_and_intervals(report: Report) -> None:
    table = str(report)
    assert "5 molecules requested" in table
    assert "molecule stable            60.0  [ 23.1,  88.2]            3 / 5 requested" in table
    assert "novel                      50.0" in table
    assert "Novel: not in mine" in table
    assert "not valid: missing         40.0" in table
    assert "not valid: radical" not in table
    assert "ovel" not in str(evaluate([None], None))
    assert "unique                        –" in str(evaluate([None], None))


def test_halves_are_rounded_up(report: Report) -> None:
    """6805 of 10,000 is 68.1 (as the literature writes it), whatever the nearest float is."""
    edm = replace(report.edm, molecule_stable=Share(6805, 10_000, "requested"))
    assert "molecule stable            68.1" in str(replace(report, edm=edm))


def test_json(report: Report, tmp_path: Path) -> None:
    report.write_json(tmp_path / "a.json")
    values = json.loads((tmp_path / "a.json").read_text())
    assert values == report.to_dict()
    assert values["strict"]["valid"]["count"] == 3
    assert values["strict"]["valid"]["of"] == "requested"
    assert values["strict"]["causes"]["missing"]["value"] == pytest.approx(0.4)
    assert values["reference"] == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(FileExistsError, match=r"a\.json exists"):
        report.write_json(tmp_path / "a.json")
    report.write_json(tmp_path / "a.json", overwrite=True)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        report.write_json(tmp_path / "no" / "a.json")


def test_json_of_nothing_is_null_not_nan(tmp_path: Path) -> None:
    evaluate([None, None]).write_json(tmp_path / "a.json")
    values = json.loads((tmp_path / "a.json").read_text())
    assert values["strict"]["unique"]["value"] is None
    assert values["sizes"]["mean_atoms"] is None


def test_same_scores_from_arrays_molecules_and_files(samples: list[MoleculeArrays], tmp_path: Path) -> None:
    mols = [to_mol(arrays) for arrays in samples[:60]]
    with MoleculeWriter(tmp_path / "a.sdf") as writer:
        for mol in mols:
            writer.write(mol)
    groups = ("basic", "properties")  # the coordinates of a file have four decimals
    from_arrays = evaluate(samples[:60], metrics=groups)
    assert evaluate(mols, metrics=groups) == from_arrays
    assert run_evaluate(tmp_path / "a.sdf", metrics=groups) == from_arrays


def test_order_of_the_molecules_does_not_matter(samples: list[MoleculeArrays]) -> None:
    assert evaluate(samples[:40]).strict == evaluate(samples[:40][::-1]).strict
    assert evaluate(samples[:40]).edm == evaluate(samples[:40][::-1]).edm


def test_notes_warn_of_molecules_that_the_rules_cannot_score() -> None:
    flat = Chem.MolFromSmiles("CCO")
    notes = evaluate([flat], None, metrics=()).notes
    assert len(notes) == 2
    assert "lack all hydrogens" in notes[0]
    assert "no coordinates" in notes[1]


def test_errors(embed: Embed) -> None:
    with pytest.raises(ValueError, match="no molecules"):
        evaluate([])
    with pytest.raises(ValueError, match="2 molecules but only 1 requested"):
        evaluate([None, None], requested=1)
    with pytest.raises(TypeError, match=r"Molecule 1: got str; expected an RDKit Mol"):
        evaluate([embed("C"), "CCO"])  # type: ignore[list-item]
    assert evaluate([], None, requested=3).strict.valid.value == 0


def test_command(embed: Embed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.sdf", "a.xyz"):
        with MoleculeWriter(tmp_path / name) as writer:
            writer.write(embed("CCO"))
            writer.write(None)
    report = run_evaluate(tmp_path / "a.sdf", out=tmp_path / "a.json")
    printed = capsys.readouterr().out
    assert str(report) in printed
    assert str(tmp_path / "a.json") in printed
    assert json.loads((tmp_path / "a.json").read_text()) == report.to_dict()
    from_xyz = run_evaluate(tmp_path / "a.xyz")
    assert from_xyz.strict == report.strict
    assert any("perceived" in note for note in from_xyz.notes)
    with pytest.raises(FileExistsError):
        run_evaluate(tmp_path / "missing.sdf", out=tmp_path / "a.json")  # before any work
    with pytest.raises(FileNotFoundError, match=r"missing\.sdf: no such file"):
        run_evaluate(tmp_path / "missing.sdf")
    with pytest.raises(ValueError, match="Got the reference 'none'"):
        run_evaluate(tmp_path / "a.sdf", reference="none")
