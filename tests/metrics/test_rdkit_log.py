"""RDKit's log goes where the standard error goes."""

import io
import sys

import pytest

from moldiff.metrics.rdkit_log import open_log


def test_the_log_follows_the_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rdkit = pytest.importorskip("rdkit")
    monkeypatch.setattr(rdkit.log_handler, "stream", rdkit.log_handler.stream)  # is put back
    closed, now = io.StringIO(), io.StringIO()
    for stream in (closed, now):
        monkeypatch.setattr(sys, "stderr", stream)
        open_log()
        assert rdkit.log_handler.stream is stream
    closed.close()
    rdkit.log_handler.flush()  # as PoseBusters does
