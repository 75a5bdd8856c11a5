import gzip
import logging

import numpy as np
import pytest

from moldiff.chem.pocket import Pocket
from moldiff.chem.protein_files import read_pocket, read_protein, write_pocket_pdb
from tests.chem.protein_text import atom, backbone, cif, pdb


@pytest.fixture
def read(tmp_path):
    """Reads a text as a file of the given name."""

    def read_text(text: str, name: str = "protein.pdb") -> Pocket:
        (tmp_path / name).write_text(text)
        return read_pocket(tmp_path / name)

    return read_text


def names(pocket: Pocket) -> list[str]:
    return [f"{pocket.residue_labels[r]} {n}" for r, n in zip(pocket.residue_index, pocket.atom_names, strict=True)]


def test_plain_residues(read):
    pocket = read(pdb(backbone("GLY", 1), backbone("ALA", 2, 3.8), atom("CB", "ALA", 2, (5.0, 2.0, 0.5))))
    assert names(pocket)[3:] == ["A:1 O", "A:2 N", "A:2 CA", "A:2 C", "A:2 O", "A:2 CB"]
    assert pocket.residue_names.tolist() == ["GLY"] * 4 + ["ALA"] * 5
    assert pocket.atomic_numbers.tolist() == [7, 6, 6, 8, 7, 6, 6, 8, 6]
    np.testing.assert_array_equal(pocket.positions[-1], [5.0, 2.0, 0.5])


def test_hydrogens_and_waters_are_left_out(read):
    hydrogens = [
        atom("H", "SER", 1, (0, 1, 0)),
        atom("HA", "SER", 1, (0, 2, 0)),
        atom("1HB", "SER", 1, (0, 3, 0), element=""),
        atom("HG", "SER", 1, (0, 4, 0), element="").replace(" HG ", "HG  "),  # would be mercury
        atom("D", "SER", 1, (0, 5, 0)),
    ]
    water = atom("O", "HOH", 100, (9, 9, 9), record="HETATM")
    assert names(read(pdb(backbone("SER", 1), hydrogens, water))) == [f"A:1 {name}" for name in ("N", "CA", "C", "O")]


def test_names_decide_on_elements(read):
    lines = [line[:76] for line in backbone("ALA", 1)]
    pocket = read(pdb(*(line.replace("  CA  ", " CA   ") for line in lines)))  # reads as calcium
    assert pocket.atomic_numbers.tolist() == [7, 6, 6, 8]


def test_alternative_location_of_highest_occupancy(read):
    def side(letter: str, occupancy: float, x: float) -> list[str]:
        return [atom(n, "SER", 1, (x, 0, 0), altloc=letter, occupancy=occupancy) for n in ("CB", "OG")]

    pocket = read(pdb(backbone("SER", 1), side("A", 0.4, 5.0), side("B", 0.6, 6.0)))
    assert names(pocket)[4:] == ["A:1 CB", "A:1 OG"]
    assert pocket.positions[4:, 0].tolist() == [6.0, 6.0]
    equal = read(pdb(backbone("SER", 1), side("B", 0.5, 6.0), side("A", 0.5, 5.0)))
    assert equal.positions[4:, 0].tolist() == [5.0, 5.0]
    partly = read(pdb(backbone("SER", 1), side("A", 0.4, 5.0), side("B", 0.6, 6.0)[:1]))
    assert partly.positions[4:, 0].tolist() == [6.0, 5.0]  # what B lacks comes from A


def test_alternative_residues(read):
    both = backbone("SER", 2, altloc="A", occupancy=0.3) + backbone("THR", 2, 0.5, altloc="B", occupancy=0.7)
    pocket = read(pdb(backbone("GLY", 1), both))
    assert pocket.residue_labels == ("A:1", "A:2")
    assert pocket.residue_names[4:].tolist() == ["THR"] * 4
    assert pocket.positions[4, 0] == 0.5


def test_insertion_codes_negative_numbers_and_chains(read):
    pocket = read(
        pdb(
            backbone("GLY", -3),
            backbone("GLY", 52, 4),
            backbone("GLY", 52, 8, code="A"),
            backbone("GLY", 52, 12, chain="B"),
            backbone("GLY", 1, 16, chain=" "),
        )
    )
    assert pocket.residue_labels == ("A:-3", "A:52", "A:52A", "B:52", ":1")


def test_modified_residues_become_their_parents(read):
    mse = [*backbone("MSE", 2, 3.8, record="HETATM"), atom("SE", "MSE", 2, (5, 3, 0), element="SE", record="HETATM")]
    sep = [*backbone("SEP", 3, 7.6), atom("OG", "SEP", 3, (9, 3, 0)), atom("P", "SEP", 3, (10, 4, 0))]
    pocket = read(pdb(backbone("HIE", 1), mse, sep, backbone("UNK", 4, 11.4)))
    assert pocket.residue_names[[0, 4, 9, -1]].tolist() == ["HIS", "MET", "SER", "UNK"]
    assert names(pocket)[8] == "A:2 SD"
    assert pocket.atomic_numbers[8] == 16
    assert names(pocket)[9:14] == [f"A:3 {name}" for name in ("N", "CA", "C", "O", "OG")]  # without phosphate
    assert pocket.residue_classes().tolist() == [8, 12, 15, 20]


def test_other_names_of_atoms(read):
    pocket = read(
        pdb(
            backbone("ILE", 1)[:3],
            atom("CD", "ILE", 1, (1, 2, 3)),
            atom("OT1", "ILE", 1, (4, 0, 0)),
            atom("OT2", "ILE", 1, (4, 1, 0)),
        )
    )
    assert names(pocket)[3:] == ["A:1 CD1", "A:1 O", "A:1 OXT"]


def test_what_is_no_protein_stands_apart(tmp_path):
    text = pdb(
        backbone("GLY", 1),
        atom("ZN", "ZN", 301, (1, 1, 1), element="ZN", record="HETATM"),
        backbone("GLU", 302, 40, record="HETATM"),  # a free amino acid is a ligand
        atom("C1", "HEM", 303, (2, 2, 2), record="HETATM"),
        atom("P", "DA", 5, (3, 3, 3), chain="B"),
        atom("CH3", "ACE", 0, (4, 4, 4)),
        atom("O", "HOH", 400, (5, 5, 5), record="HETATM"),
    )
    (tmp_path / "a.pdb").write_text(text)
    protein = read_protein(tmp_path / "a.pdb")
    assert protein.chains.residue_labels == ("A:1",)
    found = {"A:301 ZN", "A:302 GLU", "A:303 HEM", "B:5 DA", "A:0 ACE"}
    assert set(protein.others.residue_labels) == found
    assert 30 in protein.others.atomic_numbers


def test_first_of_several_models(read):
    text = "MODEL        1\n" + pdb(backbone("GLY", 1), end=False) + "ENDMDL\nMODEL        2\n"
    assert read(text + pdb(backbone("GLY", 1, 9.0), end=False) + "ENDMDL\nEND\n").positions[0, 0] == 0.0


def test_crystal_mates_are_not_made(read):
    text = "CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 P 21 21 21    4\n" + pdb(backbone("GLY", 1))
    assert len(read(text)) == 4


CIF_ROWS = [
    "ATOM 1 N N . GLY X 1 1 ? 0.0 0.0 0.0 1.0 17 AAA 1",
    "ATOM 2 C CA . GLY X 1 1 ? 1.3 0.6 0.0 1.0 17 AAA 1",
    "ATOM 3 C CA . ALA X 1 2 B 5.1 0.6 0.0 1.0 17 AAA 1",
    "ATOM 4 H HA . ALA X 1 2 B 5.1 1.6 0.0 1.0 17 AAA 1",
    "ATOM 5 C CB A ALA X 1 2 B 5.1 2.6 0.0 0.3 17 AAA 1",
    "ATOM 6 C CB B ALA X 1 2 B 5.1 3.6 0.0 0.7 17 AAA 1",
    "HETATM 7 O O . HOH W 2 . ? 9.1 3.6 0.0 1.0 201 AAA 1",
]


def test_mmcif_has_the_numbers_of_the_author(read):
    pocket = read(cif(*CIF_ROWS), "protein.cif")
    assert names(pocket) == ["AAA:17 N", "AAA:17 CA", "AAA:17B CA", "AAA:17B CB"]
    assert pocket.positions[-1].tolist() == [5.1, 3.6, 0.0]


def test_compressed_files(tmp_path, read):
    expected = read(cif(*CIF_ROWS), "protein.cif")
    (tmp_path / "a.cif.gz").write_bytes(gzip.compress(cif(*CIF_ROWS).encode()))
    np.testing.assert_array_equal(read_pocket(tmp_path / "a.cif.gz").positions, expected.positions)
    (tmp_path / "a.cif.gz").write_bytes(gzip.compress(cif(*CIF_ROWS).encode())[:-20])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        read_pocket(tmp_path / "a.cif.gz")


GOOD = pdb(backbone("GLY", 1), end=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        (" \n\n", "empty file"),
        ("data_test\nloop_\n", r"mmCIF file\? Name it \.cif"),
        ("ligand\n  RDKit\n\n", "without ATOM records"),
        (GOOD[:-40], r"line 4: .*the file is cut off there"),
        (GOOD[: -len(GOOD.splitlines()[-1]) + 52], "the file is cut off there"),
        (GOOD[:-80], None),
        (GOOD.replace("2.500   0.000", "  nan   0.000"), "line 3: .*expected finite x, y, z"),
        (GOOD.replace("   2.500   0.000", "********   0.000"), r"line 3: got coordinates '\*\*\*\*"),
        (pdb(atom("ZN", "ZN", 1, (0, 0, 0), element="ZN"), atom("O", "HOH", 2, (0, 0, 0))), "holds HOH, ZN"),
        (GOOD + GOOD, "A:1 .GLY. has two atoms N.*copies of a chain"),
    ],
    ids=[
        "empty",
        "blank",
        "mmcif",
        "sdf",
        "cut off",
        "cut off within a number",
        "one line less",
        "nan",
        "overflow",
        "no protein",
        "copies",
    ],
)
def test_bad_pdb_files(read, text, message):
    if message is None:  # atoms may be missing
        assert len(read(text)) == 3
        return
    with pytest.raises(ValueError, match=f"protein.pdb.*{message}"):
        read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("garbage", "not a whole mmCIF file"),
        (cif(*CIF_ROWS)[:-30], "not a whole mmCIF file.*copy it again"),
        ("data_test\n_cell.length_a 1\n", "without atoms"),
        (cif(*CIF_ROWS).replace("1.3 0.6", "nan 0.6"), "CA of residue AAA:17 .GLY. has coordinates that are no finite"),
        (cif(*CIF_ROWS).replace("1.3 0.6", "? 0.6"), "no finite"),
    ],
    ids=["garbage", "cut off", "no atoms", "nan", "unknown"],
)
def test_bad_mmcif_files(read, text, message):
    with pytest.raises(ValueError, match=f"protein.cif.*{message}"):
        read(text, "protein.cif")


def test_missing_files_and_unknown_endings(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_pocket(tmp_path / "a.pdb")
    with pytest.raises(ValueError, match=r"expected one of \.pdb"):
        read_pocket(tmp_path / "a.mol2")


def test_a_missing_end_is_told_of(read, caplog):
    with caplog.at_level(logging.WARNING):
        read(GOOD)
        assert not caplog.text
        read("HEADER    HYDROLASE\n" + GOOD)
    assert "may be cut off" in caplog.text


@pytest.mark.parametrize("name", ["2ayw_ben", "4cik_xo3", "1tfq_998", "2gns_stl"])
def test_write_and_read(root, tmp_path, name):
    pocket = read_pocket(root / "tests/fixtures/pockets/complexes" / name / "pocket.pdb")
    write_pocket_pdb(pocket, tmp_path / "out.pdb")
    again = read_pocket(tmp_path / "out.pdb")
    for field in ("positions", "atomic_numbers", "atom_names", "residue_names", "residue_index", "residue_labels"):
        np.testing.assert_array_equal(getattr(again, field), getattr(pocket, field))
    assert [path.name for path in tmp_path.iterdir()] == ["out.pdb"]


def test_long_chain_names_get_free_letters(read, tmp_path):
    rows = [row.replace(" AAA ", f" {chain} ") for chain in ("AAA", "A", "B1") for row in CIF_ROWS[:3]]
    pocket = read(cif(*rows), "protein.cif")
    write_pocket_pdb(pocket, tmp_path / "out.pdb")
    again = read_pocket(tmp_path / "out.pdb")
    assert again.residue_labels == ("B:17", "B:17B", "A:17", "A:17B", "C:17", "C:17B")
    np.testing.assert_array_equal(again.positions, pocket.positions)


def test_unknown_residues_and_elements_are_written(read, tmp_path):
    odd = atom("X1", "UNK", 4, (1, 1, 1), element="X")
    pocket = read(pdb(backbone("UNK", 4), odd, atom("SE1", "UNK", 4, (2, 2, 2), element="SE")))
    write_pocket_pdb(pocket, tmp_path / "out.pdb")
    again = read_pocket(tmp_path / "out.pdb")
    assert again.atomic_numbers.tolist() == pocket.atomic_numbers.tolist() == [7, 6, 6, 8, 0, 34]
    assert again.atom_names.tolist() == pocket.atom_names.tolist()


def test_what_pdb_columns_cannot_hold(read, tmp_path):
    far = read(pdb(backbone("GLY", 1)))
    wide = Pocket(far.positions + 1e5, *(getattr(far, n) for n in ("atomic_numbers", "atom_names", "residue_names")),
                  far.residue_index, far.residue_labels)  # fmt: skip
    with pytest.raises(ValueError, match="too wide for PDB"):
        write_pocket_pdb(wide, tmp_path / "out.pdb")
    assert not list(tmp_path.glob("*out*"))
