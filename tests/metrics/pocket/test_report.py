"""Reports on a pocket: denominators, the way through JSON, the tables, the command."""

import builtins
import io
import json
import math

import pytest
from rdkit import Chem

from moldiff.chem.files import MoleculeWriter
from moldiff.cli import main
from moldiff.metrics.objectives import objective as find_objective
from moldiff.metrics.pocket import PocketReport, PocketScores, PocketSummary, Scorer, Summary, evaluate_pocket
from moldiff.metrics.pocket.__main__ import main as gather
from moldiff.metrics.pocket.protein import protein_from_mol
from moldiff.metrics.pocket.settle import vina_around
from moldiff.metrics.strict import Cause


def scores(**values):
    return PocketScores(**{"smiles": "CCO", "heavy_atoms": 3, "severe_clashes": 0, **values})


@pytest.fixture
def report():
    """Four requested: a good one, one that clashes and fails in Vina, a broken one, one that is missing."""
    molecules = (
        scores(
            vina_score=-5.0, vina_minimised=-6.0, posebusters={"a": True, "b": None}, posebusters_valid=True, qed=0.4
        ),
        scores(
            smiles="CCN", severe_clashes=2, vina_failure="outside the box", posebusters={"a": False, "b": True},
            posebusters_valid=False, qed=0.6, interactions=(("A:ASP1", "donor"),),
        ),
        PocketScores(cause=Cause.VALENCE),
        PocketScores(cause=Cause.MISSING),
    )  # fmt: skip
    reference = (scores(vina_score=-5.0, vina_minimised=-5.5, qed=0.5),)
    return PocketReport("p.pdb", molecules, reference, ("a note",))


def test_shares_are_of_all_requested(report):
    counts = {name: (share.count, share.total) for name, share in report.shares.items()}
    assert counts == {
        "valid": (2, 4),
        "unique": (2, 4),
        "no_severe_clash": (1, 4),
        "posebusters_valid": (1, 4),
        "vina_scored": (1, 4),
        "vina_as_reference": (1, 4),
    }
    assert report.checks["a"].count == 1
    assert report.checks["b"].count == 2  # not evaluated is not failed


def test_values_say_how_many(report):
    assert report.values["qed"] == Summary(0.5, 0.5, 2)
    assert report.values["vina_score"] == Summary(-5.0, -5.0, 1)
    assert "strain" not in report.values
    assert Summary.of([1.0, 2.0, None, 6.0, math.nan]) == Summary(3.0, 2.0, 3)
    assert 0.0 < report.diversity < 1.0
    assert math.isnan(PocketReport("p", report.molecules[:1]).diversity)


def test_json_there_and_back(report, tmp_path):
    path = tmp_path / "report.json"
    report.write_json(path)
    plain = json.loads(path.read_text())
    again = PocketReport.from_dict(plain)
    assert again == report
    assert again.to_dict() == plain
    with pytest.raises(FileExistsError):
        report.write_json(path)
    with pytest.raises(ValueError, match="no report on a pocket"):
        PocketReport.from_dict({"edm": 1})
    with pytest.raises(ValueError, match="colour"):
        PocketScores.from_dict({"colour": 1})


def test_infinity_is_refused(tmp_path):
    """JSON knows no such number, and other programs could not read the file."""
    with pytest.raises(ValueError, match="JSON compliant"):
        PocketReport("p.pdb", (scores(qed=math.inf),)).write_json(tmp_path / "report.json")
    assert list(tmp_path.iterdir()) == []


def test_reports_without_designs_or_reference():
    assert PocketReport("p.pdb", ()).shares == {}
    one = PocketReport("p.pdb", (scores(qed=0.4),))
    assert one.reference_shares == one.reference_values == one.checks == {}
    assert one.shares.keys() == {"valid", "unique", "no_severe_clash"}
    row = next(line for line in str(one).splitlines() if "QED" in line).split()
    assert row == ["QED", "0.40", "0.40", "1", "–", "–"]
    assert "diversity" not in str(one)
    assert "Failed checks" not in str(one)
    assert "Vina failed" not in str(one)


def test_diversity_is_over_all_pairs():
    many = PocketReport("p", tuple(scores(smiles=smiles) for smiles in ("CCO", "CCO", "c1ccccc1")))
    assert many.diversity == pytest.approx(2 / 3)
    assert PocketReport("p", tuple(scores(smiles="CCO") for _ in range(2))).diversity == 0.0
    assert f"{many.diversity:.2f}" in str(many)


def test_a_molecule_is_as_good_as_the_reference_if_its_energy_is_not_above_it():
    """Above the mean of several reference ligands; what was not minimised is not."""
    reference = tuple(scores(vina_score=e, vina_minimised=e) for e in (-5.0, -7.0))
    energies = (-6.1, -6.0, -5.9, None)
    report = PocketReport("p", tuple(scores(vina_score=-1.0, vina_minimised=e) for e in energies), reference)
    assert report.shares["vina_as_reference"].count == 2
    assert report.shares["vina_scored"].count == 4
    failed = PocketReport("p", (scores(vina_failure="no"), scores()))
    assert (failed.shares["vina_scored"].count, failed.shares["vina_scored"].total) == (0, 2)
    assert "vina_as_reference" not in failed.shares


def test_table_shows_designs_and_reference(report):
    text = str(report)
    row = next(line for line in text.splitlines() if "QED" in line).split()
    assert row == ["QED", "0.50", "0.50", "2", "0.50", "0.50"]
    row = next(line for line in text.splitlines() if "no severe clash" in line).split()
    assert (row[3], row[-1]) == ("25.0", "100.0")
    assert "Note: a note" in text
    assert "Vina failed: outside the box 1" in text
    assert "a 1" in text.split("Failed checks")[1]


def test_pockets_count_the_same_whatever_their_molecules(report):
    other = PocketReport("q.pdb", (scores(qed=0.9),), (scores(qed=0.7),))
    summary = PocketSummary.of([report, other])
    assert summary.requested == 5
    assert summary.shares["valid"] == Summary(0.75, 0.75, 2)
    assert (summary.totals["valid"].count, summary.totals["valid"].total) == (3, 5)
    assert summary.values["qed"].mean == pytest.approx(0.7)
    assert summary.scored["qed"].count == 3
    assert summary.reference_values["qed"].mean == pytest.approx(0.6)
    row = next(line for line in str(summary).splitlines() if "QED" in line).split()
    assert row == ["QED", "0.70", "0.70", "3", "0.60", "0.60"]
    json.dumps(summary.to_dict(), allow_nan=False)
    with pytest.raises(ValueError, match="no reports"):
        PocketSummary.of([])


def test_pockets_without_a_valid_molecule_count(report):
    assert report.shares["posebusters_valid"].count > 0
    failed = PocketReport("q.pdb", (PocketScores(cause=Cause.MISSING),) * 2)
    assert "posebusters_valid" not in failed.shares
    summary = PocketSummary.of([report, failed])
    share = report.shares["posebusters_valid"]
    assert summary.shares["posebusters_valid"] == Summary(share.value / 2, share.value / 2, 2)
    assert summary.totals["posebusters_valid"].total == share.total + 2


def test_without_the_extra_what_needs_it_is_left_out(complex_folder, ligand, monkeypatch):
    """The rest is scored, with a note on what to install; docking was asked for and must not be left out."""
    real = builtins.__import__

    def imports(name, *args, **kwargs):
        if name.split(".")[0] in ("vina", "meeko"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", imports)
    monkeypatch.setattr("moldiff.metrics.pocket.posebusters.find_spec", lambda _: None)
    path = complex_folder / "pocket.pdb"
    report = evaluate_pocket([ligand, None], path, [ligand], requested=3, fast=True)
    assert (report.shares["valid"].count, report.shares["valid"].total) == (1, 3)
    assert report.shares.keys() == {"valid", "unique", "no_severe_clash"}
    assert sum("pip install 'moldiff[docking]'" in note for note in report.notes) == 2
    assert report.molecules[0].similarity == report.molecules[0].interaction_similarity == 1.0
    assert report.molecules[0] == report.reference[0]
    with pytest.raises(ImportError, match="pip install"):
        evaluate_pocket([ligand], path, dock=True)


def test_reference_must_be_a_molecule(complex_folder, ligand):
    with pytest.raises(ValueError, match=r"reference ligand \(number 1\).*no coordinates"):
        evaluate_pocket([ligand], complex_folder / "pocket.pdb", [Chem.MolFromSmiles("CC")])
    with pytest.raises(ValueError, match="no molecules"):
        evaluate_pocket([], complex_folder / "pocket.pdb")


def test_what_lies_elsewhere(complex_folder, ligand, moved):
    """All molecules, or a reference: an error. Some molecules: a note, and nothing else changes."""
    pocket, away = complex_folder / "pocket.pdb", moved(60.0, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"Got no molecule within 6 Å of pocket\.pdb"):
        evaluate_pocket([away, None], pocket, [ligand], fast=True)
    with pytest.raises(ValueError, match="a reference ligand that is not within 6 Å"):
        evaluate_pocket([ligand], pocket, [away], fast=True)
    report = evaluate_pocket([ligand, away, None], pocket, [ligand], fast=True)
    assert [note for note in report.notes if "within" in note] == ["1 molecules are not within 6 Å of the protein"]
    assert evaluate_pocket([None], pocket, fast=True).shares["valid"].count == 0


def test_ligand_left_in_the_pocket(complex_folder, ligand, tmp_path):
    path = tmp_path / "holo.pdb"
    atoms = [line for line in Chem.MolToPDBBlock(ligand).splitlines() if line.startswith("HETATM")]
    pocket = (complex_folder / "pocket.pdb").read_text().replace("END", "").rstrip()
    path.write_text("\n".join([pocket, *atoms, "END", ""]))
    with pytest.raises(ValueError, match=r"holo.pdb: .*remove the ligand"):
        evaluate_pocket([ligand], path, [ligand])
    with pytest.raises(ValueError, match=r"remove the ligand"):  # hydrogens are in the way of nobody
        evaluate_pocket([ligand], path, [Chem.AddHs(ligand, addCoords=True)])
    for use in (lambda: vina_around([ligand], path), lambda: find_objective("vina", path, ligand)):
        with pytest.raises((ValueError, ImportError), match=r"remove the ligand|docking"):
            use()
    notes = evaluate_pocket([ligand], path, fast=True).notes
    assert [note for note in notes if "no amino acid" in note and note.endswith(": UNL :1")], notes
    assert not any("no amino acid" in note for note in evaluate_pocket([ligand], complex_folder / "pocket.pdb").notes)


def test_molecules_tell_the_place_in_a_whole_protein(protein, ligand, moved):
    """Where there is no reference ligand: the middle of the protein may be far away."""
    pytest.importorskip("vina")
    far = Chem.Mol(protein.mol)
    far.GetConformer().SetPositions(protein.positions + 80.0)
    whole = protein_from_mol(Chem.CombineMols(protein.mol, far), "whole.pdb")
    expected = evaluate_pocket([ligand], protein, [ligand], fast=True).molecules[0].vina_score
    torn = Chem.Mol(ligand)  # near the protein with most atoms
    torn.GetConformer().SetAtomPosition(0, (torn.GetConformer().GetPositions()[0] + 70.0).tolist())
    away = moved(80.0, 80.0, 80.0)
    for mols in ([ligand], [ligand, torn], [ligand, away, ligand], [away, ligand, torn, ligand, None]):
        for mol, scores in zip(mols, evaluate_pocket(mols, whole, fast=True).molecules, strict=True):
            assert scores.vina_score == (pytest.approx(expected, abs=1e-3) if mol is ligand else None)


def test_what_is_no_number_is_not_there(protein):
    flat = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    flat.AddConformer(Chem.Conformer(9))  # all atoms in one place: UFF's energy is no number
    scores = Scorer(protein, posebusters=False).score(flat)
    assert scores.cause is None
    assert scores.strain is None
    assert json.dumps(scores.to_dict(), allow_nan=False)


def test_command(complex_folder, ligand, moved, tmp_path, capsys):
    pytest.importorskip("vina")
    with MoleculeWriter(tmp_path / "designs.sdf") as writer:
        for mol in (ligand, moved(3.0, 0.0, 0.0), None):
            writer.write(mol)
    out = tmp_path / "report.json"
    files = ["--pocket", str(complex_folder / "pocket.pdb"), "--reference_ligand", str(complex_folder / "ligand.sdf")]
    main(["evaluate", "--molecules", str(tmp_path / "designs.sdf"), *files, "--fast", "--out", str(out)])
    assert "3 molecules requested for pocket.pdb; reference ligands: 1" in capsys.readouterr().out
    report = PocketReport.from_dict(json.loads(out.read_text()))
    first, second, third = report.molecules
    (reference,) = report.reference
    assert first == reference
    assert first.vina_minimised < -4.0 < 0.0 < second.vina_score
    assert first.severe_clashes == 0 < second.severe_clashes
    assert (first.posebusters_valid, second.posebusters_valid) == (True, False)
    assert third.cause is Cause.MISSING
    assert report.shares["vina_as_reference"].count >= 1


def test_options_of_a_pocket_need_one(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--molecules", "x.sdf", "--dock"])
    assert stop.value.code == 2
    assert "--pocket" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--metrics", "xtb"), ("--reference", "x.sdf"), ("--bonds", "edm")])
def test_options_that_a_pocket_does_not_heed_are_refused(option, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--molecules", "x.sdf", "--pocket", "x.pdb", *option])
    assert stop.value.code == 2
    assert "with --pocket, whose scores are always the same" in capsys.readouterr().err


def test_reports_are_gathered(report, tmp_path, monkeypatch, capsys):
    report.write_json(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("{}")
    monkeypatch.setattr("sys.argv", ["pocket", str(tmp_path / "a.json")])
    gather()
    assert capsys.readouterr().out.startswith("1 pockets, 4 molecules requested")
    monkeypatch.setattr("sys.argv", ["pocket", str(tmp_path / "b.json")])
    with pytest.raises(SystemExit):
        gather()
    assert "b.json" in capsys.readouterr().err


def test_what_crashes_is_missing_and_told(complex_folder, ligand, monkeypatch):
    """Also in the way through JSON; if that happens to all, it is an error."""
    score = Scorer.score

    def crashing(self, mol):
        if mol is not None and mol.HasProp("bad"):
            raise OSError("no room")
        return score(self, mol)

    monkeypatch.setattr(Scorer, "score", crashing)
    bad = Chem.Mol(ligand)
    bad.SetProp("bad", "1")
    report = evaluate_pocket([ligand, bad, None], complex_folder / "pocket.pdb", [ligand], fast=True)
    assert "1 could not be scored, and count as missing: OSError: no room" in report.notes
    assert (report.shares["valid"].count, report.molecules[1].failure) == (1, "OSError: no room")
    assert PocketReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    with pytest.raises(ValueError, match="no molecule could be scored: OSError: no room"):
        evaluate_pocket([bad, bad], complex_folder / "pocket.pdb", [ligand], fast=True)


def test_worker_processes_give_the_same_scores(complex_folder, ligand):
    """To the last digit, with Vina and PoseBusters if they are there, and with what is not valid or not there."""
    molecules = [ligand, None, *(Chem.Mol(ligand) for _ in range(2)), Chem.MolFromSmiles("C1=CC")]
    shifted = molecules[2].GetConformer()
    shifted.SetPositions(shifted.GetPositions() + 0.123456789)
    one, two = (
        evaluate_pocket(molecules, complex_folder / "pocket.pdb", [ligand], fast=True, workers=n) for n in (1, 2)
    )
    assert one.to_dict() == two.to_dict()
    assert one.shares["valid"].count == 3


def test_the_report_is_written_though_it_cannot_be_printed(complex_folder, ligand, tmp_path, monkeypatch):
    """A terminal of another country, say."""
    out, shown = tmp_path / "report.json", io.BytesIO()
    with MoleculeWriter(tmp_path / "m.sdf") as writer:
        writer.write(ligand)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, encoding="cp437", write_through=True))
    pocket = str(complex_folder / "pocket.pdb")
    main(["evaluate", "--molecules", str(tmp_path / "m.sdf"), "--pocket", pocket, "--fast", "--out", str(out)])
    assert PocketReport.from_dict(json.loads(out.read_text())).shares["valid"].count == 1
    assert b"valid" in shown.getvalue()
