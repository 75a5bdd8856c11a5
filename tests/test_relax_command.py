"""`moldiff relax`."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.cli import main
from moldiff.metrics.pocket import VinaPocket, read_protein, sanitized
from moldiff.metrics.pocket.settle import vina_around


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
    drawn, relaxed = str(tmp_path / "drawn.sdf"), tmp_path / "relaxed.sdf"
    main(["relax", "--molecules", drawn, "--out", str(relaxed)])
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
    main(["relax", "--molecules", drawn, "--out", str(tmp_path / "two.sdf"), "--workers", "2"])
    assert (tmp_path / "two.sdf").read_bytes() == relaxed.read_bytes()
    assert capsys.readouterr().out.replace("two.sdf", "relaxed.sdf") == printed


def test_designs_stay_in_their_pocket(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "tests" / "fixtures" / "1l2s"
    pocket, ligand = str(folder / "pocket.pdb"), folder / "ligand.sdf"
    main(["relax", "--molecules", str(ligand), "--pocket", pocket, "--out", str(tmp_path / "relaxed.sdf")])
    (before,), (after,) = read_molecules(ligand), read_molecules(tmp_path / "relaxed.sdf")
    shift = before.GetConformer().GetPositions() - after.GetConformer().GetPositions()
    assert abs(shift).max() < 1
    far = Chem.Mol(before)
    far.GetConformer().SetPositions(before.GetConformer().GetPositions() + np.array([60.0, 0.0, 0.0]))
    with MoleculeWriter(tmp_path / "two.sdf") as writer:
        for mol in (far, before):
            writer.write(mol)
    two = ["--molecules", str(tmp_path / "two.sdf"), "--pocket", pocket, "--out", str(tmp_path / "relaxed_two.sdf")]
    main(["relax", *two])
    assert "  1 as they were: not within 6 Å of the protein\n" in capsys.readouterr().out
    still, _ = read_molecules(tmp_path / "relaxed_two.sdf")
    assert still.GetIntProp("moldiff_relaxed") == 0
    np.testing.assert_allclose(still.GetConformer().GetPositions(), far.GetConformer().GetPositions(), atol=1e-4)
    elsewhere = str(root / "tests" / "fixtures" / "qm9_200.sdf")
    line = fails(capsys, "--molecules", elsewhere, "--pocket", pocket, "--out", str(tmp_path / "no.sdf"))
    assert "got no molecule within 6 Å of the atoms of" in line
    assert not list(tmp_path.glob("no*"))


def test_vina_places_designs(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Records that differ in their place only come to lie where Vina's energy is lower than that of any of them."""
    pytest.importorskip("vina")
    pytest.importorskip("meeko")
    folder = root / "tests" / "fixtures" / "1l2s"
    pocket, (ligand,) = folder / "pocket.pdb", read_molecules(folder / "ligand.sdf")
    drawn, placed = tmp_path / "drawn.sdf", tmp_path / "placed.sdf"

    def write(*shifts: float) -> None:
        with MoleculeWriter(drawn, overwrite=True) as writer:
            for shift in shifts:
                mol = Chem.Mol(ligand)
                mol.GetConformer().SetPositions(ligand.GetConformer().GetPositions() + np.array([shift, 0.0, 0.0]))
                writer.write(mol)
            writer.write(None)

    write(0.0, 0.6)
    arguments = ["--molecules", str(drawn), "--vina", "--out", str(placed)]
    main(["relax", *arguments, "--pocket", str(pocket)])
    assert "placed.sdf: 2 of 3 molecules relaxed" in capsys.readouterr().out
    *after, nothing = read_molecules(placed)
    assert nothing is None
    grid = VinaPocket.around(read_protein(pocket), ligand)
    before = [grid.energies(sanitized(mol)).score for mol in read_molecules(drawn)[:2]]
    assert max(grid.energies(sanitized(mol)).score or 0 for mol in after) < min(score or 0 for score in before)
    several = [*arguments[:-1], str(tmp_path / "two.sdf"), "--pocket", str(pocket), "--workers", "2"]
    main(["relax", *several])
    assert (tmp_path / "two.sdf").read_bytes() == placed.read_bytes()
    (tmp_path / "two.sdf").unlink()
    shift = after[1].GetConformer().GetPositions() - read_molecules(drawn)[1].GetConformer().GetPositions()
    assert float(after[1].GetProp("moldiff_relaxed_rmsd")) == pytest.approx((shift**2).sum(1).mean() ** 0.5, abs=1e-3)
    placed.unlink()
    assert "give --pocket, a .pdb file" in fails(capsys, *arguments)
    assert list(tmp_path.iterdir()) == [drawn]
    write(0.0, 70.0)
    with pytest.raises(ValueError, match=r"that lie up to .* Å apart; expected molecules in one pocket"):
        vina_around(read_molecules(drawn)[:2], pocket)


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
