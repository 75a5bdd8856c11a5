"""A cache of its own for every test, and a table of 200 molecules of QM9."""

from pathlib import Path

import pytest

from moldiff.data.sdf import sdf_table
from moldiff.data.table import MoleculeTable


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MOLDIFF_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def qm9_sdf(root: Path) -> Path:
    return root / "tests" / "fixtures" / "qm9_200.sdf"


@pytest.fixture(scope="session")
def table(qm9_sdf: Path, tmp_path_factory: pytest.TempPathFactory) -> MoleculeTable:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLDIFF_CACHE", str(tmp_path_factory.mktemp("cache")))
        return sdf_table(qm9_sdf)
