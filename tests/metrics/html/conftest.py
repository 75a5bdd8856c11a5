"""A file of molecules that attack the page, a reference, and pages."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rdkit import Chem

from moldiff.chem.files import MoleculeWriter
from moldiff.metrics.html import run_report
from tests.metrics.html.parsed import HOSTILE, Page


@pytest.fixture(scope="module")
def mine(embed: Callable[[str], Chem.Mol], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five molecules, of which three are valid and two novel against CCO alone; their texts attack the page."""
    path = tmp_path_factory.mktemp("mine") / "mine.sdf"
    radical = Chem.RWMol(embed("CCO"))
    radical.RemoveAtom(radical.GetNumAtoms() - 1)
    mols = [embed("CCO"), embed("c1ccccc1C(=O)O"), embed("C[C@H](N)C#N"), radical.GetMol(), None]
    with MoleculeWriter(path) as writer:
        for k, mol in enumerate(mols):
            if mol is not None:
                mol.SetProp("_Name", f"{HOSTILE}{k}")
                mol.SetProp("note<b>", f"{HOSTILE}{k}")
            writer.write(mol)
    return path


@pytest.fixture(scope="module")
def ethanol(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "known.smi"
    path.write_text("CCO\nCCN\n")
    return path


@pytest.fixture(scope="module")
def make_page(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Page]:
    def make(*molecules: Path, **settings: object) -> Page:
        out = tmp_path_factory.mktemp("page") / "report.html"
        run_report(molecules, out, **settings)
        return Page(out.read_text(encoding="utf-8"))

    return make
