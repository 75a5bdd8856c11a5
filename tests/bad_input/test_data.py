"""Broken data sets, read as `moldiff fit` reads them: the exceptions are those that the command shows in one line."""

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgpack
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from moldiff.data import DrugLikeDataModule, SDFDataModule
from moldiff.data.complex_datamodule import ComplexDataModule
from moldiff.data.crossdocked import read_split
from moldiff.data.csv_file import csv_rows
from moldiff.data.exclusion import excluded_keys
from moldiff.data.qm9 import qm9_table
from moldiff.data.table import MoleculeTable
from moldiff.data.tensor_file import TableFileError
from tests.bad_input.case import bomb, cut, no_text
from tests.bad_input.law import check_message, limit
from tests.bad_input.models import Evil
from tests.bad_input.molecules import SDF
from tests.bad_input.proteins import LIGAND, PDB


@dataclass(frozen=True)
class Broken:
    """Files, what reads them, and what the message must name."""

    name: str
    files: dict[str, bytes]
    read: Callable[[], object]
    named: str


def _sdf() -> Iterator[Broken]:
    def read() -> object:
        return SDFDataModule("x.sdf").setup()

    for name, content in {**cut(SDF, 2), **no_text(SDF), "delimiters": b"$$$$\n" * 3}.items():
        yield Broken(f"SDF: {name}", {"x.sdf": content}, read, r"x\.sdf")
    yield Broken("SDF: an empty folder", {"x.sdf/readme": b""}, read, r"x\.sdf")
    yield Broken(
        "SDF: too little for a split", {"x.sdf": SDF}, lambda: SDFDataModule("x.sdf", val_fraction=1.5).setup(), ""
    )


def _complexes() -> Iterator[Broken]:
    def read() -> object:
        return ComplexDataModule("c").setup()

    files = {"c/complexes/a/pocket.pdb": PDB, "c/complexes/a/ligand.sdf": LIGAND}
    indices = {
        "empty": b"", "a header only": b"id,split\n", "no id": b"name\na\n", "an id twice": b"id\na\na\n",
        "an id above": b"id\n../../etc\n", "an absolute id": b"id\n/etc/passwd\n", "an id of Windows": b"id\n..\\x\n",
        "an empty id": b'id,split\n"",train\n', "an id of 300 letters": b"id\n" + b"x" * 300 + b"\n",
        "UTF-16": "id\na\n".encode("utf-16"), "zero bytes": b"id\na\0b\n", "an open quote": b'id\n"a' + b"x" * 200_000,
        "unknown parts": b"id,split\na,training\n", "no training": b"id,split\na,test\n", "nobody": b"id\nnobody\n",
    }  # fmt: skip
    for name, content in indices.items():
        yield Broken(f"index.csv: {name}", {**files, "c/index.csv": content}, read, r"index\.csv|\bc\b")
    index = {"c/index.csv": b"id\na\n"}
    for name, content in {"empty": b"", "UTF-16": no_text(PDB)["UTF-16"], "a ligand": LIGAND}.items():
        yield Broken(
            f"pocket.pdb: {name}", {**files, **index, "c/complexes/a/pocket.pdb": content}, read, r"a record 1"
        )
    for name, content in {"empty": b"", "cut off": LIGAND[:200], "UTF-16": no_text(LIGAND)["UTF-16"]}.items():
        yield Broken(
            f"ligand.sdf: {name}", {**files, **index, "c/complexes/a/ligand.sdf": content}, read, r"a record 1"
        )


def _sources() -> Iterator[Broken]:
    def read(name: str) -> Callable[[], object]:
        return lambda: DrugLikeDataModule([name], exclude=None).setup()

    texts = {
        "x.smi": {
            "empty": b"", "UTF-16": "CCO\n".encode("utf-16"), "no SMILES": b"hello\nworld\n",
            "long": b"C" * 90_000,
        },
        "x.csv": {
            "empty": b"", "no column": b"a,b\n1,2\n", "no rows": b"smiles\n",
            "a field of 200,000": b"smiles\n" + b"C" * 200_000,
        },
        "x.smi.gz": {"not packed": b"CCO\n", "cut off": gzip.compress(b"CCO\n" * 99)[:20], "bomb": bomb()},
        "x.sdf": {"empty": b"", "cut off": SDF[:700]},
        "x.msgpack": {
            "empty": b"", "noise": bytes(range(256)), "a number": msgpack.packb(3),
            "no conformers": msgpack.packb({"C": {}}),
            "a list of 4 billion": b"\xdd\xff\xff\xff\xff", "brackets in brackets": b"\x91" * 5000,
            "NaN": msgpack.packb({"C": {"conformers": [{"totalenergy": 0.0, "xyz": [[6.0, float("nan"), 0, 0]]}]}}),
            "cut off": msgpack.packb({"C": {"conformers": [{"totalenergy": 0.0, "xyz": [[6, 0, 0, 0]]}]}})[:-9],
        },
        "x.bcif": {
            "empty": b"", "noise": bytes(range(256)), "no blocks": msgpack.packb({"dataBlocks": []}),
            "no tables": msgpack.packb({"dataBlocks": [{"categories": []}]}), "a bomb of a column": _columns(10**12),
            "an unknown encoding": _columns(1, "Magic"),
        },
        "x.pkl": {"a pickle": b"\x80\x04N."},
    }  # fmt: skip
    for file, contents in texts.items():
        for name, content in contents.items():
            yield Broken(f"{file}: {name}", {file: content}, read(file), file.replace(".", r"\."))
    for name, content in {"empty": b"", "no SMILES": b"hello\n", "UTF-16": "CCO\n".encode("utf-16")}.items():
        yield Broken(f"exclude: {name}", {"x.smi": content}, lambda: excluded_keys("x.smi"), r"x\.smi")


def _columns(times: int, kind: str = "RunLength") -> bytes:
    """A BinaryCIF file whose columns each repeat one number so many times."""
    axes = [f"{m}{a}{end}" for m, end in (("model_Cartn_", ""), ("pdbx_model_Cartn_", "_ideal")) for a in "xyz"]
    names = {
        "_chem_comp": ("id", "pdbx_release_status"),
        "_chem_comp_atom": ("comp_id", "atom_id", "type_symbol", "charge", *axes),
        "_chem_comp_bond": ("comp_id", "atom_id_1", "atom_id_2", "value_order"),
    }
    array = np.array([1, times], dtype="<f8").tobytes()
    data = {"data": array, "encoding": [{"kind": kind}, {"kind": "ByteArray", "type": 33}]}
    tables = [{"name": t, "columns": [{"name": c, "data": data} for c in cs]} for t, cs in names.items()]
    return msgpack.packb({"dataBlocks": [{"categories": tables}]})


def _others() -> Iterator[Broken]:
    folder = {"q/gdb9.sdf": SDF, "q/gdb9.sdf.csv": b"mol_id,mu\ngdb_1,1.0\n", "q/uncharacterized.txt": b"x\n" * 12}
    raw = {
        "uncharacterized.txt": {"in words": b"here\n" * 12, "blank": b"\n" * 12},
        "gdb9.sdf.csv": {"empty": b"", "no columns": b"a\n1\n2\n", "UTF-16": "mol_id\n".encode("utf-16")},
        "gdb9.sdf": {"empty": b"", "noise": bytes(range(256)), "cut off": SDF[:500]},
    }
    for file, contents in raw.items():
        for name, content in contents.items():
            files = {**folder, "q/uncharacterized.txt": b"\n" * 9 + b"1 x\nend\n", f"q/{file}": content}
            yield Broken(f"{file}: {name}", files, lambda: qm9_table("q"), "q")
    splits: dict[str, object] = {
        "a list": [1], "numbers": {"train": 3}, "pairs of three": {"train": [("a", "b", "c")]},
        "an evil object": Evil(),
        "paths above": {"train": [("../a.pdb", "b.sdf")]}, "absolute paths": {"train": [("/a.pdb", "b.sdf")]},
    }  # fmt: skip
    for name, value in splits.items():
        yield Broken(
            f"split_by_name.pt: {name}",
            {},
            lambda value=value: (torch.save(value, "x.pt"), read_split("x.pt")),
            r"x\.pt",
        )  # type: ignore[misc]
    yield Broken("split_by_name.pt: noise", {"x.pt": bytes(range(256))}, lambda: read_split("x.pt"), r"x\.pt")


BROKEN = [*_sdf(), *_complexes(), *_sources(), *_others()]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_broken_data(broken: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path / "cache"))
    for name, content in broken.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with limit(), pytest.raises((ValueError, OSError, ImportError)) as raised:
        broken.read()
    check_message(str(raised.value), broken.named)
    assert not (tmp_path / "executed").exists()


def test_one_bad_complex_is_counted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path / "cache"))
    for name, ligand in (("good", LIGAND), ("bad", LIGAND[:100])):
        folder = tmp_path / "complexes" / name
        folder.mkdir(parents=True)
        (folder / "pocket.pdb").write_bytes(PDB)
        (folder / "ligand.sdf").write_bytes(ligand)
    (tmp_path / "index.csv").write_text("\ufeffid\r\ngood\r\nbad\r\n", encoding="utf-8")
    data = ComplexDataModule(tmp_path, val_fraction=0, test_fraction=0)
    data.setup()
    assert len(data.train) == 1
    assert "1 of 2 records were left out" in caplog.text
    assert "bad record 2" in caplog.text


@pytest.mark.parametrize(
    "header",
    [{}, {"moldiff_table": "no JSON"}, {"moldiff_table": "[1]"}, {"moldiff_table": json.dumps({"version": 1})}],
)
def test_foreign_files_in_the_cache(header: dict[str, str], tmp_path: Path) -> None:
    """They are told apart from tables, so that `cached` builds the table again."""
    save_file({"pos": torch.zeros(3)}, tmp_path / "x.safetensors", metadata=header)
    with pytest.raises(TableFileError, match="delete it"):
        MoleculeTable.load(tmp_path / "x.safetensors")


def test_long_fields_are_refused_whatever_the_limit_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("smiles\n" + "C" * 200_000)
    before = csv.field_size_limit(10**9)
    try:
        with pytest.raises(ValueError, match="field larger than"):
            list(csv_rows(path))
    finally:
        csv.field_size_limit(before)
