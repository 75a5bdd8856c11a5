"""A dictionary of a few components is written here; where biotite is installed, its own is read."""

import importlib.util
import itertools

import msgpack
import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from moldiff.data.bcif import read_bcif
from moldiff.data.ccd import ccd_file, ccd_table

NUMBERS = {"i1": 1, "i2": 2, "i4": 3, "u1": 4, "u2": 5, "u4": 6, "f4": 32, "f8": 33}


def bytes_of(values: np.ndarray) -> dict:
    return {"data": values.tobytes(), "encoding": [{"kind": "ByteArray", "type": NUMBERS[values.dtype.str[1:]]}]}


def text_column(name: str, values: list[str]) -> dict:
    words = sorted(set(values))
    offsets = np.array([0, *itertools.accumulate(map(len, words))], dtype="<i4")
    places = bytes_of(np.array([words.index(value) for value in values], dtype="<i4"))
    encoding = {
        "kind": "StringArray",
        "stringData": "".join(words),
        "offsets": offsets.tobytes(),
        "offsetEncoding": [{"kind": "ByteArray", "type": 3}],
        "dataEncoding": places["encoding"],
    }
    return {"name": name, "data": {"data": places["data"], "encoding": [encoding]}, "mask": None}


def number_column(name: str, values: list[float]) -> dict:
    data = np.array(values, dtype="<f8")
    mask = bytes_of(np.where(np.isnan(data), 2, 0).astype("u1"))
    return {"name": name, "data": bytes_of(np.nan_to_num(data)), "mask": mask}


def dictionary(components: dict[str, tuple[Chem.Mol, Chem.Mol | None, Chem.Mol | None, str]]) -> bytes:
    """A BinaryCIF file of components: name -> molecule, the same with experimental, calculated coordinates, status."""
    atoms: dict[str, list] = {name: [] for name in ("comp_id", "atom_id", "type_symbol", "charge")}
    xyz: dict[str, list] = {
        f"{a}{x}{b}": [] for a, b in (("model_Cartn_", ""), ("pdbx_model_Cartn_", "_ideal")) for x in "xyz"
    }
    bonds: dict[str, list] = {name: [] for name in ("comp_id", "atom_id_1", "atom_id_2", "value_order")}
    for name, (mol, model, ideal, _) in components.items():
        kekule = Chem.Mol(mol)
        Chem.Kekulize(kekule, clearAromaticFlags=True)
        for atom in kekule.GetAtoms():
            atoms["comp_id"].append(name)
            atoms["atom_id"].append(f"A{atom.GetIdx()}")
            atoms["type_symbol"].append(atom.GetSymbol().upper())
            atoms["charge"].append(atom.GetFormalCharge())
            for source, label in ((model, "model_Cartn_{}"), (ideal, "pdbx_model_Cartn_{}_ideal")):
                point = source.GetConformer().GetPositions()[atom.GetIdx()] if source else (np.nan,) * 3
                for axis, value in zip("xyz", point, strict=True):
                    xyz[label.format(axis)].append(value)
        for bond in kekule.GetBonds():
            bonds["comp_id"].append(name)
            bonds["atom_id_1"].append(f"A{bond.GetBeginAtomIdx()}")
            bonds["atom_id_2"].append(f"A{bond.GetEndAtomIdx()}")
            bonds["value_order"].append(bond.GetBondType().name[:4])
    charges = atoms.pop("charge")
    tables = {
        "_chem_comp": [
            text_column("id", list(components)),
            text_column("pdbx_release_status", [status for *_, status in components.values()]),
        ],
        "_chem_comp_atom": [
            *(text_column(name, values) for name, values in atoms.items()),
            *(number_column(name, values) for name, values in xyz.items()),
            number_column("charge", charges),
        ],
        "_chem_comp_bond": [text_column(name, values) for name, values in bonds.items()],
    }
    categories = [{"name": name, "columns": columns} for name, columns in tables.items()]
    return msgpack.packb({"dataBlocks": [{"header": "components", "categories": categories}]})


def embedded(smiles: str, seed: int = 1) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=seed)
    return mol


@pytest.fixture(scope="module")
def components():
    aspirin, acid = embedded("CC(=O)Oc1ccccc1C(=O)O"), embedded("C[NH+](C)CCCC(=O)[O-]")
    broken = Chem.Mol(aspirin)
    broken.GetConformer().SetAtomPosition(0, (9.0, 9.0, 9.0))
    return {
        "AIN": (aspirin, aspirin, embedded("CC(=O)Oc1ccccc1C(=O)O", 2), "REL"),
        "ACD": (acid, None, acid, "REL"),
        "BRK": (aspirin, broken, aspirin, "REL"),
        "OLD": (aspirin, aspirin, aspirin, "OBS"),
        "HOH": (Chem.AddHs(Chem.MolFromSmiles("O")), embedded("O"), embedded("O"), "REL"),
        "NON": (aspirin, None, None, "REL"),
        "FER": (embedded("Cl[Fe]Cl.CCCCO"), embedded("Cl[Fe]Cl.CCCCO"), None, "REL"),
    }


def test_components_become_ligands(components, tmp_path):
    path = tmp_path / "components.bcif"
    path.write_bytes(dictionary(components))
    table = ccd_table(path, processes=1)
    assert table.smiles == ["CC(=O)Oc1ccccc1C(=O)O", "CN(C)CCCC(=O)O", "CC(=O)Oc1ccccc1C(=O)O"]
    assert table.index.tolist() == [0, 1, 2]
    np.testing.assert_allclose(  # experimental coordinates where there are any
        table.molecule(0).positions, components["AIN"][1].GetConformer().GetPositions()[:13], atol=1e-6
    )
    np.testing.assert_allclose(  # calculated ones where the others make no sense
        table.molecule(2).positions, components["BRK"][2].GetConformer().GetPositions()[:13], atol=1e-6
    )
    assert table.metadata["geometries"] == [2, 1]
    assert {reason: sorted(numbers) for reason, numbers in table.metadata["left_out"].items()} == {
        "not released, or obsolete": [3],
        "fewer than 6 heavy atoms": [4],
        "no complete coordinates": [5],
        "more than one fragment": [6],
    }
    assert table.keys[0] == table.keys[2] != table.keys[1]


def test_what_is_no_dictionary_is_refused(tmp_path):
    path = tmp_path / "components.bcif"
    path.write_bytes(b"data_AIN\n#\n")
    with pytest.raises(ValueError, match="no BinaryCIF file"):
        ccd_table(path)
    path.write_bytes(msgpack.packb({"dataBlocks": [{"header": "", "categories": []}]}))
    with pytest.raises(ValueError, match=r"lacks _chem_comp\.id"):
        ccd_table(path)


ENCODED = {
    "fixed point, delta, packed": (
        np.array([100, 27, 127, 1, -128, -5, 0], dtype="i1"),
        [
            {"kind": "FixedPoint", "factor": 100, "srcType": 33},
            {"kind": "Delta", "origin": 1000, "srcType": 3},
            {"kind": "IntegerPacking", "byteCount": 1, "isUnsigned": False, "srcSize": 5},
            {"kind": "ByteArray", "type": 1},
        ],
        [11.0, 11.27, 12.55, 11.22, 11.22],
    ),
    "packed without sign": (
        np.array([255, 255, 3, 254, 0], dtype="u1"),
        [
            {"kind": "IntegerPacking", "byteCount": 1, "isUnsigned": True, "srcSize": 3},
            {"kind": "ByteArray", "type": 4},
        ],
        [513, 254, 0],
    ),
    "runs": (
        np.array([7, 3, -1, 2], dtype="<i4"),
        [{"kind": "RunLength", "srcSize": 5}, {"kind": "ByteArray", "type": 3}],
        [7, 7, 7, -1, -1],
    ),
    "intervals": (
        np.array([0, 5, 10], dtype="u1"),
        [{"kind": "IntervalQuantization", "min": 1.0, "max": 2.0, "numSteps": 11}, {"kind": "ByteArray", "type": 4}],
        [1.0, 1.5, 2.0],
    ),
}


@pytest.mark.parametrize("case", ENCODED.values(), ids=ENCODED.keys())
def test_encodings_are_undone(case, tmp_path):
    data, encoding, expected = case
    column = {"name": "c", "data": {"data": data.tobytes(), "encoding": encoding}, "mask": None}
    path = tmp_path / "a.bcif"
    path.write_bytes(
        msgpack.packb({"dataBlocks": [{"header": "", "categories": [{"name": "_t", "columns": [column]}]}]})
    )
    np.testing.assert_allclose(read_bcif(path, {"_t": ("c",)})["_t"]["c"], expected)


@pytest.mark.skipif(importlib.util.find_spec("biotite") is None, reason="needs biotite")
def test_dictionary_of_biotite_is_read_as_by_biotite():
    from biotite.structure.io import pdbx

    block = pdbx.BinaryCIFFile.read(ccd_file()).block
    columns = {
        "_chem_comp": ("id", "type", "formula_weight", "pdbx_replaced_by"),
        "_chem_comp_atom": ("charge",),
    }
    ours = read_bcif(ccd_file(), columns)
    for table, names in columns.items():
        for name in names:
            column, values = block[table[1:]][name], ours[table][name]
            expected = column.as_array(masked_value="" if values.dtype.kind == "U" else None)
            if values.dtype.kind == "f" and column.mask is not None:
                expected = np.where(column.mask.array != 0, np.nan, expected)
            np.testing.assert_array_equal(values, expected)
