"""Every notebook is stored without outputs, explains what it runs, and runs from top to bottom in a kernel."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(notebook: Path) -> None:
    stored = nbformat.read(notebook, as_version=4)
    nbformat.validate(stored)
    assert stored.metadata.kernelspec.name == "python3"
    assert {cell.cell_type for cell in stored.cells} == {"markdown", "code"}, "a notebook explains what it runs"
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == [], "clear all outputs"
    links = re.findall(r"]\(([^)]+)\)", "".join(cell.source for cell in stored.cells if cell.cell_type == "markdown"))
    assert [link for link in links if "://" not in link and not (notebook.parent / link).is_file()] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """In a folder beside those of the repository that it may read; its pictures are there when it has run."""
    for folder in ("configs", "tests/fixtures"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "notebooks").mkdir()
    environment = {name: value for name, value in environment.items() if name != "MPLBACKEND"}  # inline, as for a user
    client = NotebookClient(
        nbformat.read(notebook, as_version=4),
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path / "notebooks")}},
    )
    ran = client.execute(env=environment | {"IPYTHONDIR": str(tmp_path / "ipython")})
    outputs = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert "image/png" in kinds
