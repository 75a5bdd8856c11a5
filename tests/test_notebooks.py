"""Every notebook (jupytext's percent format) runs from top to bottom."""

import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook: Path, workspace: Path, environment: dict[str, str]) -> None:
    cells = jupytext.read(notebook, fmt="py:percent").cells
    assert {cell.cell_type for cell in cells} == {"markdown", "code"}, "a notebook explains what it runs"
    subprocess.run([sys.executable, notebook], check=True, cwd=workspace, env=environment, timeout=600)
