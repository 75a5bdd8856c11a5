"""Whatever a file holds, its user reads a message and not a traceback, soon, and nothing else has happened."""

import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType

import pytest

from moldiff.cli import main
from tests.bad_input import models, molecules, proteins
from tests.bad_input.case import Case

CASES = list(chain(molecules.cases(), proteins.cases(), models.cases()))
LIMIT_S = 30  # on a busy machine; most cases take a hundredth of a second
ADVICE = re.compile(
    r"expected|choose|give|copy|write it|mend|export|remove|check|shorten|name it|allow it|make the module|use its|is it"
    r"|no such|No protein|not a file|unrecognized|take a hydrogen",
    re.IGNORECASE,
)

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")


class TooSlowError(BaseException):
    """No command catches it."""


@contextmanager
def limit(seconds: int) -> Iterator[None]:
    """Break off what takes longer."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
    with limit(LIMIT_S):
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
    message = error[error.rindex("error: ") :]
    assert len(message) < 1500, message
    assert re.search(case.named, message), message
    assert ADVICE.search(message), message
    assert set(tmp_path.rglob("*")) - before - {tmp_path / "cache"} == set()
