"""Whatever a file holds, its user reads a message and not a traceback, soon, and nothing else has happened."""

import re
import shutil
from itertools import chain
from pathlib import Path

import pytest

from moldiff.cli import main
from tests.bad_input import models, molecules, proteins
from tests.bad_input.case import Case
from tests.bad_input.law import check_message, limit

CASES = list(chain(molecules.cases(), proteins.cases(), models.cases()))
pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")


def test_corpus_is_large() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_broken_input(
    case: Case,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path / "cache"))
    if case.needs_model:
        shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    case.write(tmp_path)
    before = set(tmp_path.rglob("*"))
    code = 0
    with limit():
        try:
            main(list(case.arguments))
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
    out, error = capsys.readouterr()
    said = f"{out}\n{error}\n{caplog.text}"
    assert "Traceback" not in said
    if code == 0:
        assert case.skips, f"it should have failed, and said {said}"
        assert re.search(case.skips, said), said
        return
    assert code == 2
    check_message(error[error.rindex("error: ") :], case.named)
    assert set(tmp_path.rglob("*")) - before - {tmp_path / "cache"} == set()
