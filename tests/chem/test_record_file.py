from pathlib import Path

import pytest
from rdkit import Chem

from moldiff import evaluate
from moldiff.chem.files import read_molecules
from moldiff.chem.record_file import RecordFile
from moldiff.metrics import command
from moldiff.metrics.command import run_evaluate


@pytest.fixture
def path(root: Path, tmp_path: Path) -> Path:
    """Twenty molecules, one that cannot be read among them, one without coordinates, with either end of line."""
    records = (root / "tests" / "fixtures" / "qm9_200.sdf").read_text().split("$$$$\n")[:18]
    flat = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")).replace("\n", "\r\n")
    (tmp_path / "a.sdf").write_bytes("$$$$\n".join([*records, "nonsense\n", flat, ""]).encode())
    return tmp_path / "a.sdf"


def test_records_are_those_that_are_read_at_once(path: Path) -> None:
    file, mols = RecordFile(path), read_molecules(path)
    assert len(file) == len(mols) == 20
    assert [m and Chem.MolToMolBlock(m) for m in file] == [m and Chem.MolToMolBlock(m) for m in mols]
    assert file[18] is None
    assert file[-1].GetNumAtoms() == 3
    assert [m and m.GetNumAtoms() for m in file[3:9:2]] == [m and m.GetNumAtoms() for m in mols[3:9:2]]
    with pytest.raises(IndexError):
        file[20]


def test_scores_do_not_depend_on_how_a_file_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = ("basic", "properties", "geometry", "strain")
    expected = evaluate(read_molecules(path), "qm9", metrics=metrics).to_dict()
    assert evaluate(RecordFile(path), "qm9", metrics=metrics).to_dict() == expected
    monkeypatch.setattr(command, "LARGE", 0)
    expected["notes"] = [*expected["notes"], *command.unreadable(read_molecules(path))]
    assert run_evaluate(path, "qm9", metrics=metrics, workers=2).to_dict() == expected


def test_broken_files(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    (tmp_path / "b.sdf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"b\.sdf: record \d+ is cut off"):
        RecordFile(tmp_path / "b.sdf")
    (tmp_path / "b.sdf").write_text("\n")
    with pytest.raises(ValueError, match="empty file"):
        RecordFile(tmp_path / "b.sdf")
