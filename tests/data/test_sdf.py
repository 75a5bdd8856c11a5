import gzip
import logging
from math import nan

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff.data.sdf import sdf_files, sdf_table
from moldiff.data.sdf_datamodule import SDFDataModule


def block(smiles: str, hydrogens: bool = True) -> str:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    return Chem.MolToMolBlock(mol if hydrogens else Chem.RemoveHs(mol)) + "$$$$\n"


GOOD = [block(smiles) for smiles in ("CS(=O)(=O)Cl", "C[N+](C)(C)CC(=O)[O-]", "c1ccsc1", "C[O-].[Na+]")]
BROKEN = "broken\n\n\nthis is no counts line\nM  END\n$$$$\n"
PENTAVALENT = GOOD[2].replace(" 2  0\n", " 3  0\n")  # triple bonds in the ring


def test_elements_charges_and_bonds_are_found(tmp_path):
    (tmp_path / "a.sdf").write_text("".join(GOOD))
    table = sdf_table(tmp_path / "a.sdf")
    assert table.vocabulary.elements == ("H", "C", "N", "O", "Na", "S", "Cl")
    assert table.vocabulary.charges == (-1, 0, 1)
    assert table.smiles == ["CS(=O)(=O)Cl", "C[N+](C)(C)CC(=O)[O-]", "c1ccsc1", "C[O-].[Na+]"]
    assert table.index.tolist() == [1, 2, 3, 4]


def test_folder_of_files(tmp_path):
    (tmp_path / "b.SDF").write_text(GOOD[0])
    (tmp_path / "a.sdf.gz").write_bytes(gzip.compress(GOOD[1].encode()))
    (tmp_path / "notes.txt").write_text("nothing")
    assert [file.name for file in sdf_files(tmp_path)] == ["a.sdf.gz", "b.SDF"]
    assert sdf_table(tmp_path).smiles == ["C[N+](C)(C)CC(=O)[O-]", "CS(=O)(=O)Cl"]


def test_what_cannot_be_used_is_counted_and_named(tmp_path, caplog):
    (tmp_path / "a.sdf").write_text(GOOD[0] + BROKEN + GOOD[1])
    (tmp_path / "b.sdf").write_text(PENTAVALENT + block("CCO", hydrogens=False) + block("CCCO", hydrogens=False))
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            table = sdf_table(tmp_path)
        assert table.index.tolist() == [1, 3]
        assert "4 of 6 records were left out" in caplog.text
        assert "1 x RDKit cannot read it (a.sdf record 2)" in caplog.text
        assert "valence" in caplog.text
        assert "2 x Got a molecule with 6 implicit hydrogens" in caplog.text
        assert "(b.sdf record 2, b.sdf record 3)" in caplog.text
    assert [(r["file"], r["record"]) for r in table.metadata["left_out"]] == [("a.sdf", 2)] + [
        ("b.sdf", record) for record in (1, 2, 3)
    ]


def test_molecules_without_hydrogens_only(tmp_path):
    (tmp_path / "a.sdf").write_text(block("CCO", hydrogens=False))
    with pytest.raises(ValueError, match=r"(?s)No molecule can be used.*AddHs\(mol, addCoords=True\)"):
        sdf_table(tmp_path / "a.sdf")


def test_flat_molecules_only(tmp_path):
    (tmp_path / "a.sdf").write_text(Chem.MolToMolBlock(Chem.AddHs(Chem.MolFromSmiles("CCO"))) + "$$$$\n")
    with pytest.raises(ValueError, match="without 3D coordinates"):
        sdf_table(tmp_path / "a.sdf")


@pytest.mark.parametrize("content", ["", GOOD[0] + GOOD[1][:400]], ids=["empty", "cut off"])
def test_empty_and_cut_off_files(tmp_path, content):
    (tmp_path / "a.sdf").write_text(content)
    with pytest.raises(ValueError, match=r"a\.sdf"):
        sdf_table(tmp_path / "a.sdf")


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        sdf_table(tmp_path / "missing.sdf")
    with pytest.raises(FileNotFoundError, match=r"holds no \.sdf"):
        sdf_table(tmp_path)


def test_files_without_bonds_are_refused(tmp_path):
    (tmp_path / "a.xyz").write_text("3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n")
    with pytest.raises(ValueError, match=r"a\.xyz: expected an \.sdf or \.sdf\.gz file"):
        sdf_table(tmp_path / "a.xyz")


def test_cache_knows_the_content(tmp_path, cache):
    file = tmp_path / "a.sdf"
    file.write_text(GOOD[0])
    assert len(sdf_table(file)) == len(sdf_table(file)) == 1
    assert len(list(cache.iterdir())) == 1
    file.write_text(GOOD[0] + GOOD[1])
    assert len(sdf_table(file)) == 2


def test_data_module(qm9_sdf):
    data = SDFDataModule(qm9_sdf, batch_size=16, val_fraction=0.2, test_fraction=0.1)
    assert [len(part) for part in (data.train, data.val, data.test)] == [140, 40, 20]
    assert set(data.train.index.tolist()) | set(data.val.index.tolist()) | set(data.test.index.tolist()) == set(
        range(1, 201)
    )
    assert data.vocabulary.elements == ("H", "C", "N", "O", "F")
    assert data.statistics.num_molecules == 140


def with_fields(record, **fields):
    data = "".join(f">  <{name}>\n{value}\n\n" for name, value in fields.items())
    return record.replace("$$$$\n", data + "$$$$\n")


def test_properties_are_read_from_data_fields(tmp_path, caplog):
    """In order, broken records left out; what is no finite number is unknown, and what is wrong is told each time."""
    records = [
        with_fields(GOOD[0], logS="-1.25 ", name="first"),
        BROKEN,
        with_fields(GOOD[1], logS=">10", mass=" 3e1"),
        with_fields(GOOD[2], logS="nan"),
        with_fields(GOOD[3], logS="", mass="-0.5"),
    ]
    (tmp_path / "a.sdf").write_text("".join(records))
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            table = sdf_table(tmp_path / "a.sdf", {"logS": "log(mol/L)", "mass": ""})
        expected = {"logS": [-1.25, nan, nan, nan], "mass": [nan, 30.0, nan, -0.5]}
        assert list(table.properties) == ["logS", "mass"]
        for name, values in expected.items():
            np.testing.assert_array_equal(table.properties[name].numpy(), values)
        assert table.metadata["units"] == {"logS": "log(mol/L)", "mass": ""}
        assert (
            "2 values of logS are no numbers, and were taken as unknown, such as '>10' (a.sdf record 3)" in caplog.text
        )
        assert "values of mass" not in caplog.text
    assert not sdf_table(tmp_path / "a.sdf").properties
    assert list(sdf_table(tmp_path / "a.sdf", {"mass": ""}).properties) == ["mass"]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("logs", r"the data field 'logs': got none; the fields are logS, name"),
        ("name", r"the data field 'name': got values such as 'first' \(a\.sdf record 1\)"),
    ],
)
def test_a_property_without_numbers_is_refused(tmp_path, field, message):
    (tmp_path / "a.sdf").write_text(with_fields(GOOD[0], logS="-1", name="first"))
    with pytest.raises(ValueError, match=message):
        sdf_table(tmp_path / "a.sdf", {field: ""})
