import csv
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff.chem.arrays import sanitized
from moldiff.chem.files import read_molecules
from moldiff.chem.pocket import select_pocket
from moldiff.chem.protein_files import read_pocket
from moldiff.cli import main
from moldiff.data.complex_datamodule import ComplexDataModule
from moldiff.data.complex_folder import add_complex


@pytest.fixture
def entry(root):
    return root / "tests/fixtures/pockets/complexes/4cik_xo3"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def prepare(*options):
    main(["prepare-pocket", *map(str, options)])


def error_of(capsys, *options):
    with pytest.raises(SystemExit) as stop:
        prepare(*options)
    assert stop.value.code == 2
    return capsys.readouterr().err


def rows(out):
    with open(out / "index.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_entry_with_a_ligand(entry, out, capsys):
    prepare("--protein", entry / "pocket.pdb", "--ligand", entry / "ligand.sdf", "--radius", 6, "--out", out)
    text = capsys.readouterr().out
    (mol,) = read_molecules(entry / "ligand.sdf")
    expected = select_pocket(read_pocket(entry / "pocket.pdb"), mol.GetConformer().GetPositions(), radius=6.0)
    assert f"ligand: {expected.num_residues} residues, {len(expected)} atoms; ligand of 19 heavy atoms" in text
    written = read_pocket(out / "complexes" / "ligand" / "pocket.pdb")
    assert written.residue_labels == expected.residue_labels
    (row,) = rows(out)
    assert row["id"] == "ligand"
    assert row["num_pocket_residues"] == str(expected.num_residues)
    assert row["min_distance"] == "2.589"
    assert row["smiles"] == "Oc1cc([C@H]2CCN[C@@H](Cc3ccccc3)C2)on1"
    assert len(ComplexDataModule(out, val_fraction=0.0, test_fraction=0.0).train) == 1


def test_hydrogens_of_the_ligand_are_dropped(entry, out, tmp_path, capsys):
    (mol,) = read_molecules(entry / "ligand.sdf")
    Chem.SanitizeMol(mol)
    with Chem.SDWriter(str(tmp_path / "l.sdf")) as writer:
        writer.write(Chem.AddHs(mol, addCoords=True))
    prepare("--protein", entry / "pocket.pdb", "--ligand", tmp_path / "l.sdf", "--out", out)
    assert "19 heavy atoms (18 hydrogens dropped)" in capsys.readouterr().out
    (written,) = read_molecules(out / "complexes/l/ligand.sdf")
    assert written.GetNumAtoms() == 19
    assert Chem.MolToSmiles(sanitized(written)) == Chem.MolToSmiles(mol)


def test_residues_and_centre(entry, out):
    protein = read_pocket(entry / "pocket.pdb")
    labels = protein.residue_labels[3:5]
    prepare("--protein", entry / "pocket.pdb", "--residues", ",".join(labels), "--out", out, "--id", "one")
    assert read_pocket(out / "complexes/one/pocket.pdb").residue_labels == labels
    centre = ",".join(map(str, protein.positions[0].tolist()))
    prepare("--protein", entry / "pocket.pdb", f"--center={centre}", "--radius", 4, "--out", out, "--split", "test")
    expected = select_pocket(protein, protein.positions[0], radius=4.0).residue_labels
    assert read_pocket(out / "complexes/pocket/pocket.pdb").residue_labels == expected
    assert [(row["id"], row["split"]) for row in rows(out)] == [("one", ""), ("pocket", "test")]
    assert not (out / "complexes/one/ligand.sdf").exists()


def test_existing_entries_are_kept(entry, out, capsys):
    options = ("--protein", entry / "pocket.pdb", "--ligand", entry / "ligand.sdf", "--out", out)
    prepare(*options)
    before = (out / "index.csv").read_text()
    assert "exists; choose another id" in error_of(capsys, *options)
    assert (out / "index.csv").read_text() == before
    assert sorted(path.name for path in out.iterdir()) == ["complexes", "index.csv"]


def test_index_with_other_columns(entry, out):
    out.mkdir()
    (out / "index.csv").write_text("target,id,min_distance\nold,x,1.0")  # without a line end
    prepare("--protein", entry / "pocket.pdb", "--ligand", entry / "ligand.sdf", "--out", out)
    assert (out / "index.csv").read_text() == "target,id,min_distance\nold,x,1.0\n,ligand,2.589\n"


def test_file_systems_without_links(entry, out, monkeypatch):
    def refuse(*_):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    prepare("--protein", entry / "pocket.pdb", "--ligand", entry / "ligand.sdf", "--out", out)
    assert [row["id"] for row in rows(out)] == ["ligand"]
    assert sorted(path.name for path in out.iterdir()) == ["complexes", "index.csv"]


def test_many_at_once(entry, out):
    pocket = read_pocket(entry / "pocket.pdb")

    def add(number):
        try:
            add_complex(out, f"e{number // 2}", pocket, None, {"source": "x"})
        except FileExistsError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(40))) == 20
    assert sorted(row["id"] for row in rows(out)) == sorted(f"e{k}" for k in range(20))
    assert len(list((out / "complexes").iterdir())) == 20


def test_cofactors_near_the_ligand_are_named(entry, out, tmp_path, caplog):
    (mol,) = read_molecules(entry / "ligand.sdf")
    x, y, z = mol.GetConformer().GetPositions()[0]
    lines = [
        f"HETATM 9001 ZN    ZN A 901    {x + 3:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          ZN",
        f"HETATM 9002  C1  XO3 A 902    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C",  # the ligand itself
        f"HETATM 9003 MG    MG A 903    {x + 90:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          MG",
    ]
    text = (entry / "pocket.pdb").read_text().replace("END", "\n".join([*lines, "END"]))
    (tmp_path / "p.pdb").write_text(text)
    with caplog.at_level(logging.WARNING):
        prepare("--protein", tmp_path / "p.pdb", "--ligand", entry / "ligand.sdf", "--out", out)
    assert "within 6 Å: A:901 ZN" in caplog.text
    assert "902" not in caplog.text
    assert "903" not in caplog.text


def far(entry, tmp_path, shift):
    (mol,) = read_molecules(entry / "ligand.sdf")
    for k, position in enumerate(mol.GetConformer().GetPositions()):
        mol.GetConformer().SetAtomPosition(k, position + shift)
    with Chem.SDWriter(str(tmp_path / "far.sdf")) as writer:
        writer.write(mol)
    return tmp_path / "far.sdf"


def salt(tmp_path):
    mol = Chem.AddHs(Chem.MolFromSmiles("CC(=O)[O-].[Na+]"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    Chem.MolToMolFile(mol, str(tmp_path / "salt.sdf"))
    return tmp_path / "salt.sdf"


def test_errors(entry, out, tmp_path, capsys):
    protein, ligand = entry / "pocket.pdb", entry / "ligand.sdf"
    both = tmp_path / "two.sdf"
    both.write_text(ligand.read_text() * 2)
    cut = tmp_path / "cut.pdb"
    cut.write_text(protein.read_text()[:1000])
    on_protein = read_pocket(protein).positions[100] - read_molecules(ligand)[0].GetConformer().GetPositions()[0]
    cases = [
        ([], "Got none of ligand, residues and center"),
        (["--ligand", ligand, "--center=1,2,3"], "Got ligand, center of ligand, residues and center"),
        (["--ligand", far(entry, tmp_path, 100.0)], "Are both in the same frame"),
        (["--ligand", tmp_path / "none.sdf"], "no such file"),
        (["--ligand", both], "got 2 molecules; expected a single one"),
        (["--ligand", salt(tmp_path)], "ligand of 2 fragments"),
        (["--ligand", protein], "expected one of .sdf"),
        (["--residues", "Z:1"], "no residue 'Z:1'"),
        (["--center=0,0"], "center of 2 numbers"),
        (["--center=0,0,x"], "expected x,y,z"),
        (["--center=900,900,900"], "the nearest is"),
        (["--ligand", ligand, "--id", "../up"], "Got id '../up'"),
    ]
    for options, message in cases:
        assert message in error_of(capsys, "--protein", protein, "--out", out, *options), options
    assert "cut off" in error_of(capsys, "--protein", cut, "--ligand", ligand, "--out", out)
    options = ["--ligand", far(entry, tmp_path, on_protein), "--out", out]
    assert "overlaps with residue" in error_of(capsys, "--protein", protein, *options)
    assert not out.exists()
