"""Files that are changed at random: a reader reads them, or says in a ValueError or OSError why it cannot."""

import gzip
import io
import string
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdkit import Chem
from safetensors.torch import save

from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.chem.protein_files import read_protein
from moldiff.data.complexes import read_index
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable
from moldiff.data.yaml_file import read_yaml
from moldiff.diffusion.checkpoint import read_checkpoint
from moldiff.diffusion.class_names import check_classes
from moldiff.metrics.pocket.protein import read_protein as read_pocket_of_report
from tests.bad_input.case import ROOT
from tests.bad_input.law import limit
from tests.bad_input.molecules import SDF, XYZ
from tests.bad_input.proteins import PDB

QUICK = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, positions=np.arange(9.0).reshape(3, 3), numbers=np.array([8, 1, 1]), num_atoms=np.array([3]))
    return file.getvalue()


def _checkpoint() -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": {"a": torch.zeros(2)}, "hyper_parameters": {"lr": 1.0}, "statistics": {}}, file)
    return file.getvalue()


def _cif() -> bytes:
    text: str = gemmi.read_pdb_string(PDB.decode()).make_mmcif_document().as_string()
    return text.encode()


CONFIG = (ROOT / "moldiff" / "weights" / "qm9" / "config.yaml").read_bytes()
READERS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "x.sdf": (SDF, read_molecules),
    "x.sdf.gz": (gzip.compress(SDF, mtime=0), read_molecules),
    "x.xyz": (XYZ * 2, read_molecules),
    "x.npz": (_npz(), read_molecules),
    "x.smi": (b"CCO ethanol\nc1ccccc1\n[NH3+]CC([O-])=O\n", read_molecules),
    "x.pdb": (PDB, read_protein),
    "y.pdb": (PDB, read_pocket_of_report),
    "x.cif": (_cif(), read_protein),
    "index.csv": (b"id,split,cluster\na,train,1\nb,test,2\n", lambda path: read_index(path.parent)),
    "config.yaml": (CONFIG, read_yaml),
    "x.safetensors": (save({"a": torch.arange(6.0)}, {"moldiff_table": '{"version": 1}'}), MoleculeTable.load),
    "x.ckpt": (_checkpoint(), read_checkpoint),
}

Edit = tuple[float, int, bytes]
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),  # where
        st.integers(0, 40),  # bytes that are taken away there
        st.one_of(
            st.binary(max_size=8),
            st.sampled_from(b"\n - nan inf 99999999999 $$$$\n \0 * &a 1e400 < , \" {".split(b" ")),
        ),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


def edited(whole: bytes, edits: list[Edit]) -> bytes:
    for share, width, new in edits:
        place = int(share * len(whole))
        whole = whole[:place] + new + whole[place + width :]
    return whole


@pytest.mark.parametrize("name", READERS)
@given(edits=EDITS)
@QUICK
def test_readers_read_or_refuse(name: str, edits: list[Edit], tmp_path: Path) -> None:
    whole, read = READERS[name]
    (tmp_path / name).write_bytes(edited(whole, edits))
    with limit():
        try:
            read(tmp_path / name)
        except (ValueError, OSError):
            return


_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("os.system")
_TREES = st.recursive(
    _PLAIN, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=5), t, max_size=3), max_leaves=8
)


@given(values=st.dictionaries(st.sampled_from([f.name for f in Statistics.__dataclass_fields__.values()]), _TREES))
@QUICK
def test_statistics_are_whole_or_refused(values: dict[str, object]) -> None:
    """Of the exceptions, `read_model` makes a message."""
    with pytest.raises((KeyError, TypeError, AttributeError, ValueError)):
        Statistics.from_dict(values)


@given(tree=_TREES)
@QUICK
def test_no_foreign_name_is_let_through(tree: object) -> None:
    """Wherever it stands."""
    with pytest.raises(ValueError, match="the model at x"):
        check_classes({"a": [tree, {"class_path": "subprocess.Popen"}]}, "x")


TEXTS = st.text(string.printable + "é€<>&$\u2028", max_size=40)


@given(
    titles=st.lists(
        TEXTS | st.sampled_from(["a\n$$$$\n", "\n\n\n", "M  END", "../../x", "> <y>\n1\n\n"]), min_size=1, max_size=4
    )
)
@QUICK
def test_no_title_breaks_the_file(titles: list[str], tmp_path: Path) -> None:
    """As many records as were written, with their atoms, whatever titles and properties say."""
    with MoleculeWriter(tmp_path / "x.sdf", overwrite=True) as writer:
        for title in titles:
            mol = Chem.AddHs(Chem.MolFromSmiles("C"))
            mol.SetProp("_Name", title)
            mol.SetProp("note", title)
            mol.SetProp(f"a{title}", "x")
            mol.SetProp("last", "kept")
            writer.write(mol)
    read = read_molecules(tmp_path / "x.sdf")
    assert [mol is not None and mol.GetNumAtoms() for mol in read] == [5] * len(titles)
    assert [mol.GetProp("last") for mol in read] == ["kept"] * len(titles)
