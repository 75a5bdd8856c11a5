"""`moldiff relax`."""

from pathlib import Path

import pytest
from rdkit import Chem

from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.cli import main


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of an error."""
    with pytest.raises(SystemExit) as stop:
        main(["relax", *arguments])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_every_record_is_written_relaxed_or_as_it_was(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice: what a first relaxation has noted does not pass for the second's."""
    first, *_ = read_molecules(root / "tests" / "fixtures" / "qm9_200.sdf")
    five = Chem.MolFromMolBlock(Chem.MolToMolBlock(first), sanitize=False, removeHs=False)
    for atom in five.GetAtoms():
        atom.SetAtomicNum(9)
    five.SetProp("moldiff_relaxed", "1")
    five.SetProp("moldiff_relaxed_rmsd", "0.1")
    with MoleculeWriter(tmp_path / "drawn.sdf") as writer:
        for mol in (first, five, None):
            writer.write(mol)
    main(["relax", "--molecules", str(tmp_path / "drawn.sdf"), "--out", str(tmp_path / "relaxed.sdf")])
    printed = capsys.readouterr().out
    assert "relaxed.sdf: 1 of 3 molecules relaxed; atoms moved by 0." in printed
    assert "  1 as they were: RDKit does not sanitize it\n" in printed
    assert "  1 as they were: unreadable, or without atoms\n" in printed
    good, bad, nothing = read_molecules(tmp_path / "relaxed.sdf")
    assert nothing is None
    assert (good.GetIntProp("moldiff_relaxed"), bad.GetIntProp("moldiff_relaxed")) == (1, 0)
    assert float(good.GetProp("moldiff_relaxed_rmsd")) < 0.5
    assert not bad.HasProp("moldiff_relaxed_rmsd")
    assert (bad.GetConformer().GetPositions() == five.GetConformer().GetPositions()).all()


def test_designs_stay_in_their_pocket(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "tests" / "fixtures" / "1l2s"
    pocket, ligand = str(folder / "pocket.pdb"), folder / "ligand.sdf"
    main(["relax", "--molecules", str(ligand), "--pocket", pocket, "--out", str(tmp_path / "relaxed.sdf")])
    (before,), (after,) = read_molecules(ligand), read_molecules(tmp_path / "relaxed.sdf")
    shift = before.GetConformer().GetPositions() - after.GetConformer().GetPositions()
    assert abs(shift).max() < 1
    elsewhere = str(root / "tests" / "fixtures" / "qm9_200.sdf")
    line = fails(capsys, "--molecules", elsewhere, "--pocket", pocket, "--out", str(tmp_path / "no.sdf"))
    assert "got no molecule within 6 Å of the atoms of" in line
    assert not list(tmp_path.glob("no*"))


def test_bad_input_is_told_before_any_work(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(root / "tests" / "fixtures" / "qm9_200.sdf")
    there = tmp_path / "there.sdf"
    there.write_text("mine")
    assert "there.sdf exists" in fails(capsys, "--molecules", good, "--out", str(there))
    assert there.read_text() == "mine"
    assert "no such file" in fails(capsys, "--molecules", "none.sdf", "--out", str(tmp_path / "new.sdf"))
    assert "no such folder" in fails(capsys, "--molecules", good, "--out", str(tmp_path / "none" / "new.sdf"))
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n")
    line = fails(capsys, "--molecules", str(tmp_path / "a.xyz"), "--out", str(tmp_path / "new.sdf"))
    assert "expected a .sdf or .sdf.gz file" in line
    assert "no such file" in fails(capsys, "--molecules", good, "--out", str(tmp_path / "b.sdf"), "--pocket", "no.pdb")
