"""Reading and writing molecules: what comes back, and what happens when files are broken."""

import gzip
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.chem.files import MoleculeWriter, read_molecule, read_molecules

Embed = Callable[[str], Chem.Mol]


def pentavalent() -> Chem.Mol:
    """CH5: RDKit refuses to sanitize it."""
    positions = np.random.default_rng(0).normal(size=(6, 3))
    bonds = np.zeros(15, dtype=np.int8)
    bonds[[0, 1, 3, 6, 10]] = 1
    return to_mol(MoleculeArrays(np.array([6, 1, 1, 1, 1, 1]), positions, np.zeros(6, dtype=np.int64), bonds))


def write(path: Path, *mols: Chem.Mol | None) -> Path:
    with MoleculeWriter(path) as writer:
        for mol in mols:
            writer.write(mol)
    return path


def test_a_single_molecule(embed: Embed, tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.sdf", embed("CCO")), write(tmp_path / "two.sdf", embed("CCO"), embed("CC"))
    assert read_molecule(one).GetNumAtoms() == 9
    with pytest.raises(ValueError, match=r"two.sdf: got 2 molecules; expected a single one"):
        read_molecule(two)
    with pytest.raises(ValueError, match="got one that RDKit cannot read; expected a single one"):
        read_molecule(write(tmp_path / "none.sdf", None))


@pytest.mark.parametrize("smiles", ["CCO", "C[N+](C)(C)CC([O-])=O", "c1cc[nH]c1"])
def test_sdf_round_trip(smiles: str, embed: Embed, tmp_path: Path) -> None:
    mol = embed(smiles)
    mol.SetProp("_Name", "a title")
    mol.SetIntProp("seed", 7)
    [back] = read_molecules(write(tmp_path / "a.sdf", mol))
    assert back is not None
    assert [atom.GetFormalCharge() for atom in back.GetAtoms()] == [atom.GetFormalCharge() for atom in mol.GetAtoms()]
    assert [bond.GetBondType() for bond in back.GetBonds()] == [bond.GetBondType() for bond in mol.GetBonds()]
    assert np.allclose(back.GetConformer().GetPositions(), mol.GetConformer().GetPositions(), atol=5.1e-5)
    assert (back.GetProp("_Name"), back.GetProp("seed")) == ("a title", "7")


def test_broken_and_failed_molecules_keep_their_place(embed: Embed, tmp_path: Path) -> None:
    mols = read_molecules(write(tmp_path / "a.sdf", embed("C"), None, pentavalent(), embed("N")))
    assert [mol and mol.GetNumAtoms() for mol in mols] == [5, None, 6, 4]
    assert mols[2] is not None
    assert mols[2].GetNumBonds() == 5
    mols = read_molecules(write(tmp_path / "a.xyz", embed("C"), None, pentavalent(), embed("N")))
    assert [mol and mol.GetNumAtoms() for mol in mols] == [5, None, 6, 4]


@pytest.mark.parametrize("coordinate", [123456.5, -1e7, np.nan, np.inf])
def test_impossible_coordinates_do_not_shift_other_records(coordinate: float, embed: Embed, tmp_path: Path) -> None:
    wild = embed("C")
    wild.GetConformer().SetAtomPosition(0, (coordinate, 0.0, 0.0))
    mols = read_molecules(write(tmp_path / "a.sdf", embed("N"), wild, embed("O")))
    assert [mol and mol.GetNumAtoms() for mol in mols][::2] == [4, 3]
    if np.isfinite(coordinate):
        assert mols[1] is not None
        assert mols[1].GetConformer().GetAtomPosition(0).x == pytest.approx(coordinate)


def test_compressed_and_windows_files(embed: Embed, tmp_path: Path) -> None:
    text = write(tmp_path / "a.sdf", embed("C"), embed("N")).read_text()
    (tmp_path / "b.sdf.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c.SDF").write_bytes(text.replace("\n", "\r\n").encode())
    for name in ("b.sdf.gz", "c.SDF"):
        assert [mol and mol.GetNumAtoms() for mol in read_molecules(tmp_path / name)] == [5, 4]
    (tmp_path / "d.sdf.gz").write_bytes(gzip.compress(text.encode())[:-20])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        read_molecules(tmp_path / "d.sdf.gz")


def test_a_molfile_needs_no_delimiter(embed: Embed, tmp_path: Path) -> None:
    (tmp_path / "a.sdf").write_text(Chem.MolToMolBlock(embed("C")))
    assert len(read_molecules(tmp_path / "a.sdf")) == 1


@pytest.mark.parametrize("keep", [0.55, 0.75, 0.9])
def test_cut_off_sdf_names_the_record(keep: float, embed: Embed, tmp_path: Path) -> None:
    second = embed("N")
    second.SetProp("_Name", "ammonia")
    second.SetProp("seed", "1")
    text = write(tmp_path / "a.sdf", embed("O"), second).read_text()
    (tmp_path / "a.sdf").write_text(text[: int(keep * len(text))])
    with pytest.raises(ValueError, match=r"record 2 \('ammonia'\) is cut off.*1 whole records"):
        read_molecules(tmp_path / "a.sdf")


def test_unreadable_record_is_none(embed: Embed, tmp_path: Path) -> None:
    text = write(tmp_path / "a.sdf", embed("O"), embed("N")).read_text()
    (tmp_path / "a.sdf").write_text("nonsense\n$$$$\n" + text)
    assert [mol is None for mol in read_molecules(tmp_path / "a.sdf")] == [True, False, False]


@pytest.mark.parametrize("text", ["", "\n\n"])
@pytest.mark.parametrize("name", ["a.sdf", "a.xyz"])
def test_empty_files(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="empty file"):
        read_molecules(tmp_path / name)


def test_missing_files_and_unknown_endings(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.sdf: no such file"):
        read_molecules(tmp_path / "a.sdf")
    with pytest.raises(ValueError, match=r"'\.pdb'; expected one of \.sdf, \.sdf\.gz, \.xyz"):
        read_molecules(tmp_path / "a.pdb")
    with pytest.raises(ValueError, match=r"expected one of \.sdf, \.xyz"):
        MoleculeWriter(tmp_path / "a.sdf.gz")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        MoleculeWriter(tmp_path / "no" / "a.sdf")


def test_xyz_round_trip_finds_the_bonds(embed: Embed, tmp_path: Path) -> None:
    path = write(tmp_path / "a.xyz", embed("c1ccccc1"), embed("CC#N"))
    first, second = read_molecules(path)
    assert first is not None
    assert second is not None
    assert Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(first))) == "c1ccccc1"
    assert Chem.MolToSmiles(Chem.RemoveHs(second)) == "CC#N"


def test_xyz_with_blank_lines_and_numbers_for_elements(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("\n1\ncomment charge=0\n10 0 0 0 extra\n\n1\n\nHE 0 0 0\n\n")
    assert [mol and mol.GetAtomWithIdx(0).GetSymbol() for mol in read_molecules(tmp_path / "a.xyz")] == ["Ne", "He"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2\n\nC 0 0 0\n", r"frame 1 is cut off: got 1 of 2 atoms"),
        ("1\n\nC 0 0 0\n3\n", r"frame 2 is cut off: got 0 of 3 atoms"),
        ("C 0 0 0\n", r"frame 1 \(line 1\).*expected the number of atoms"),
        ("1\n\nXx 0 0 0\n", r"frame 1 \(line 3\): got 'Xx 0 0 0'; expected an element"),
        ("1\n\nC 0 0\n", r"frame 1 \(line 3\): got 'C 0 0'"),
        ("1\n\nC 0 0 zero\n", r"frame 1 \(line 3\): got 'C 0 0 zero'"),
        ("1\n\n0 0 0 0\n", r"frame 1 \(line 3\)"),
    ],
)
def test_broken_xyz_names_the_frame(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_molecules(tmp_path / "a.xyz")


def test_existing_files_are_kept(embed: Embed, tmp_path: Path) -> None:
    path = write(tmp_path / "a.sdf", embed("C"))
    with pytest.raises(FileExistsError, match=r"a\.sdf exists"):
        MoleculeWriter(path)
    with MoleculeWriter(path, overwrite=True) as writer:
        writer.write(embed("N"))
        assert [mol and mol.GetNumAtoms() for mol in read_molecules(path)] == [5]  # until the end
    assert [mol and mol.GetNumAtoms() for mol in read_molecules(path)] == [4]


def test_a_new_file_holds_nothing(tmp_path: Path) -> None:
    finished = MoleculeWriter(tmp_path / "a.sdf").finished
    assert (len(finished.indices), len(finished.lengths), finished.runs, finished.num_valid) == (0, 0, frozenset(), 0)


def test_finished_molecules_outlive_a_crash(embed: Embed, tmp_path: Path) -> None:
    writer = MoleculeWriter(tmp_path / "a.sdf").__enter__()
    writer.write(embed("C"))
    assert len(read_molecules(writer.partial_path)) == 1  # on disk before the end
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.partial.sdf"]
    with pytest.raises(FileExistsError, match="interrupted"):
        MoleculeWriter(tmp_path / "a.sdf")
    write_again = MoleculeWriter(tmp_path / "a.sdf", overwrite=True)
    with write_again:
        write_again.write(embed("N"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.sdf"]


def test_nothing_is_left_of_a_run_that_wrote_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), MoleculeWriter(tmp_path / "a.xyz"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_writing_outside_the_block(embed: Embed, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`with` block"):
        MoleculeWriter(tmp_path / "a.sdf").write(embed("C"))


def test_records_with_places_end_up_in_their_order(embed: Embed, tmp_path: Path) -> None:
    names = ["CCO", "C", "CCCC", "CO"]
    with MoleculeWriter(tmp_path / "a.sdf") as writer:
        for place in (2, 0, 3, 1):
            mol = embed(names[place])
            mol.SetProp("_Name", names[place])
            writer.write(mol, place)
    assert [mol.GetProp("_Name") for mol in read_molecules(tmp_path / "a.sdf") if mol] == names
    assert [path.name for path in tmp_path.iterdir()] == ["a.sdf"]


@pytest.mark.parametrize(("name", "text"), [("note", "$$$$"), ("note", "$$$$ 5"), ("two\nlines", "5"), ("note", ">5")])
def test_no_property_ends_a_record(name: str, text: str, embed: Embed, tmp_path: Path) -> None:
    mol = embed("CO")
    mol.SetProp(name, text)
    first, second = read_molecules(write(tmp_path / "x.sdf", mol, embed("C")))
    assert first is not None
    assert second is not None
    assert first.GetProp(name.replace("\n", " ")) == ("" if "$" in text else text)


@pytest.mark.parametrize(("num_atoms", "order"), [(60, 1), (80, 3)])
def test_molecules_of_far_too_many_bonds_are_written(tmp_path, num_atoms, order):
    """As an untrained network may draw them; an atom of the second kind has more than RDKit can count."""
    mol = Chem.RWMol()
    for _ in range(num_atoms):
        mol.AddAtom(Chem.Atom(6))
    for i, j in combinations(range(num_atoms), 2):
        mol.AddBond(i, j, Chem.BondType.values[order])
    conformer = Chem.Conformer(num_atoms)
    conformer.SetPositions(np.random.default_rng(0).normal(size=(num_atoms, 3)))
    mol.AddConformer(conformer)
    mol.SetProp("moldiff_valid", "0")
    with MoleculeWriter(tmp_path / "x.sdf") as writer:
        writer.write(mol.GetMol())
        writer.write(None)
    read, nothing = read_molecules(tmp_path / "x.sdf")
    assert nothing is None
    assert (read.GetNumAtoms(), read.GetProp("moldiff_valid")) == (num_atoms, "0")
    assert read.GetNumBonds() == (num_atoms * (num_atoms - 1) // 2 if order == 1 else 0)
    np.testing.assert_allclose(read.GetConformer().GetPositions(), conformer.GetPositions(), atol=1e-4)
