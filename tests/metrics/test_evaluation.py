"""All groups of scores together, from molecules of all kinds of files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.chem.files import Bonds, MoleculeWriter, read_molecules
from moldiff.metrics import METRICS, Calibration, evaluate
from moldiff.metrics.command import run_evaluate
from moldiff.metrics.reference import load_reference
from moldiff.metrics.reference.sample import ReferenceSample, bundled_sample
from moldiff.metrics.report import Report

FIXTURES = Path(__file__).parents[1] / "fixtures"
Embed = Callable[[str], Chem.Mol]
LIGHT = ("basic", "properties", "geometry", "diversity", "strain")


@pytest.fixture(scope="module")
def real() -> list[Chem.Mol | None]:
    return read_molecules(FIXTURES / "qm9_200.sdf")


@pytest.fixture(scope="module")
def report(real: list[Chem.Mol | None]) -> Report:
    return evaluate(real, metrics=LIGHT)


def test_two_workers_give_the_same_report_as_one(samples: list[MoleculeArrays]) -> None:
    mols = [to_mol(arrays) for arrays in samples[:50]]
    assert evaluate(mols, metrics=LIGHT, workers=2) == evaluate(mols, metrics=LIGHT, workers=1)


def test_real_molecules_score_as_the_calibration_says(report: Report) -> None:
    real = report.real()
    for row, slack in {
        "edm.molecule_stable": 0.05,
        "strict.valid": 0.02,
        "connected": 0.01,
        "properties.qed": 0.02,
        "properties.sa": 0.4,
        "diversity.internal_diversity": 0.01,
        "strain.energy": 1.5,
        "strain.rmsd": 0.05,
    }.items():
        assert report.figures()[row] == pytest.approx(real[row], abs=slack), row
    assert report.geometry is not None
    for quantity in ("bond lengths", "angles", "torsions", "atom types", "bond types", "valences"):
        row = f"geometry.distances.{quantity}"
        assert report.figures()[row] < 2.5 * real[row], row


def test_calibration_of_the_bundled_sample() -> None:
    """The paper: 99.0 % of the atoms and 95.2 % of the molecules of QM9 are stable, 97.7 % valid and unique."""
    values = bundled_sample("qm9").calibration.values
    assert values["edm.atom_stable"] == pytest.approx(0.993, abs=0.001)
    assert values["edm.molecule_stable"] == pytest.approx(0.952, abs=0.003)
    assert values["edm.valid_and_unique"] == pytest.approx(0.977, abs=0.002)
    assert values["strain.energy"] == pytest.approx(7.0, abs=0.1)  # converged; 6 kcal/mol after RDKit's 200 steps
    assert values["strain.rmsd"] == pytest.approx(0.19, abs=0.02)


def test_distances_of_real_molecules_shrink_as_they_grow_in_number() -> None:
    calibration = bundled_sample("qm9").calibration
    for row in ("geometry.distances.bond lengths", "geometry.distances.sizes", "fcd"):
        floors = [calibration.at(row, n) for n in (100, 200, 300, 1000, 3000)]
        assert None not in floors
        assert floors == sorted(floors, reverse=True)  # type: ignore[type-var]


def test_calibration_between_the_sizes_that_were_tried() -> None:
    calibration = Calibration("some", {"a": 0.5}, {"b": {100: 1.0, 10_000: 0.1}})
    assert calibration.at("a", 7) == 0.5
    assert calibration.at("b", 100) == pytest.approx(1.0)
    assert calibration.at("b", 1000) == pytest.approx(10**-0.5)
    assert calibration.at("b", 1_000_000) == pytest.approx(0.01)
    assert calibration.at("b", 0) is None
    assert calibration.at("c", 7) is None
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_a_sample_survives_being_written(real: list[Chem.Mol | None]) -> None:
    sample = ReferenceSample.of("mine", real).with_calibration(Calibration("mine", {"a": 1.0}))
    again = ReferenceSample.from_bytes(sample.to_bytes())
    assert (again.smiles, again.calibration) == (sample.smiles, sample.calibration)
    with pytest.raises(ValueError, match="damaged"):
        ReferenceSample.from_bytes(sample.to_bytes()[:-9])


def test_broken_molecules_stay_in_the_denominators_and_are_named(embed) -> None:
    good, strange = embed("CCO"), embed("CB(C)C")
    strange.SetProp("_Name", "a borane")
    broken = Chem.Mol(good)
    broken.GetConformer().SetPositions(np.full((9, 3), np.nan))
    report = evaluate([good, None, broken, strange], None, requested=6, metrics=("strain", "properties"))
    assert report.strain is not None
    assert report.properties is not None
    assert (report.strict.valid.count, report.strict.valid.total) == (2, 6)
    assert (report.strain.converged.count, report.strain.converged.total) == (1, 2)
    assert (report.properties.scored.count, report.properties.scored.total) == (2, 2)
    assert report.connected is not None
    assert (report.connected.count, report.connected.total) == (3, 6)
    (note,) = report.notes
    assert note.startswith("strain: 1 of 2 molecules could not be checked: number 4, a borane (")
    assert "MMFF94 has no parameters" in note


def test_aromatic_and_kekule_form_score_alike(real: list[Chem.Mol | None]) -> None:
    aromatic = [Chem.Mol(mol) for mol in real[:80]]
    for mol in aromatic:
        Chem.SanitizeMol(mol)
    assert any(bond.GetIsAromatic() for mol in aromatic for bond in mol.GetBonds())
    one, other = evaluate(real[:80]), evaluate(aromatic)
    assert replace(one, geometry=None) == replace(other, geometry=None)
    for quantity in ("bond lengths", "angles", "torsions", "valences", "ring sizes", "sizes"):
        row = f"geometry.distances.{quantity}"
        assert one.figures()[row] == pytest.approx(other.figures()[row], rel=0.1, abs=1e-6)


def test_groups_are_absent_unless_asked_for(embed) -> None:
    report = evaluate([embed("CCO")], metrics=())
    assert {"properties", "geometry", "diversity", "strain"}.isdisjoint(report.to_dict())
    assert "QED" not in str(report)
    for reference in (None, load_reference("qm9")):
        report = evaluate([embed("CCO")], reference)
        assert report.geometry is None
        assert "geometry: left out" in report.notes[-1]


def test_table_has_a_section_per_group_and_real_values_beside(report: Report) -> None:
    table = str(report)
    for word in ("QED", "bond lengths", "  C-H", "internal diversity", "strain energy", "RMSD", "in one piece", "real"):
        assert word in table
    real = report.real()["edm.molecule_stable"]
    (line,) = (line for line in table.splitlines() if "molecule stable" in line)
    assert f"{100 * real:.1f}" in line
    assert max(map(len, table.splitlines())) <= 130


def test_json_has_every_score_and_what_real_molecules_score(report: Report) -> None:
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert {"requested", "reference", "edm", "strict", "sizes", "notes"} <= set(values)
    assert values["properties"]["qed"]["value"] == report.figures()["properties.qed"]
    assert values["geometry"]["distances"]["angles"]["unit"] == "°"
    assert values["calibration"]["values"]["strict.valid"] == report.real()["strict.valid"]


def test_a_reference_of_ones_own(real: list[Chem.Mol | None], tmp_path: Path) -> None:
    with MoleculeWriter(tmp_path / "mine.sdf") as writer:
        for mol in real:
            writer.write(mol)
    report = evaluate(real[:50], str(tmp_path / "mine.sdf"), metrics=("geometry", "diversity"))
    assert report.calibration is not None
    assert report.calibration.name == "200 molecules of mine.sdf"
    assert report.real()["strict.valid"] == 1.0
    assert report.geometry is not None
    assert report.figures()["geometry.distances.angles"] < 3 * report.real()["geometry.distances.angles"]
    assert report.figures()["diversity.nearest_neighbour"] == 1.0  # all are in the reference
    assert report.strict.novel is not None
    assert report.strict.novel.count == 0


def test_smiles_can_be_scored_as_far_as_they_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.smi").write_text("CC(=O)Oc1ccccc1C(=O)O aspirin\nC1C\n\n[CH2]C\nCCO\n")
    report = run_evaluate(tmp_path / "a.smi", metrics=("properties", "geometry", "strain"))
    assert (report.strict.valid.count, report.strict.valid.total) == (2, 4)
    assert report.edm.valid.count == 0
    assert report.properties is not None
    assert report.properties.qed.count == 2
    assert report.strain is not None
    assert (report.strain.converged.count, report.strain.converged.total) == (0, 2)
    assert "no coordinates" in report.notes[0]
    assert "QED" in capsys.readouterr().out


def test_npz_names_how_bonds_were_found(capsys: pytest.CaptureFixture[str]) -> None:
    by_rdkit = run_evaluate(FIXTURES / "gschnet_500.npz", None, metrics=())
    by_table = run_evaluate(FIXTURES / "gschnet_500.npz", None, metrics=(), bonds="edm")
    assert "rdDetermineBonds" in by_rdkit.notes[-1]
    assert "EDM's table" in by_table.notes[-1]
    assert by_rdkit.edm == by_table.edm
    assert by_rdkit.strict.valid.count > by_table.strict.valid.count
    assert "rdDetermineBonds" in capsys.readouterr().out


def test_every_group_runs(real: list[Chem.Mol | None], monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("posebusters", "fcd_torch", "tblite"):
        pytest.importorskip(package)
    few = replace(bundled_sample("qm9"), smiles=bundled_sample("qm9").smiles[:50])  # for FCD's sake
    monkeypatch.setattr("moldiff.metrics.evaluation.bundled_sample", lambda name: few)
    report = evaluate(real[:6], metrics=METRICS)
    assert report.posebusters is not None
    assert report.posebusters.passed.count >= 5
    assert report.fcd is not None
    assert report.fcd.value is not None
    assert report.fcd.num_molecules == 6
    assert report.xtb is not None
    assert report.xtb.converged.count == 6
    assert {"FCD", "PoseBusters"} <= set(str(report).replace(",", " ").split())


def test_errors(real: list[Chem.Mol | None], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="Got the scores 'quality'; expected some of basic, properties"):
        evaluate(real, metrics=("quality",))
    with pytest.raises(ValueError, match="expected a list of names, for example \\['basic'\\]"):
        evaluate(real, metrics="basic,xtb")
    monkeypatch.setattr("moldiff.metrics.extras.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'moldiff\[xtb\]'"):
        evaluate(real, metrics=("xtb",))


@pytest.mark.parametrize("bonds", ["rdkit", "edm"])
def test_bonds_of_a_reference_are_found_as_those_of_the_molecules(bonds: Bonds, embed: Embed, tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    with MoleculeWriter(path) as writer:
        for smiles in ("CCO", "C[N+](=O)[O-]"):  # without charges, EDM's table gives the second two double bonds
            writer.write(embed(smiles))
    report = run_evaluate(path, str(path), metrics=("basic", "geometry"), bonds=bonds)
    assert report.geometry is not None
    assert report.geometry.distances["bond types"].value == report.geometry.distances["valences"].value == 0
    assert report.real()["strict.valid"] == report.strict.valid.value
