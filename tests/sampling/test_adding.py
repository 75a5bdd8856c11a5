"""More molecules in a file that is whole: nothing is lost, doubled or mixed."""

from pathlib import Path

import pytest

from moldiff import MoleculeGenerator
from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.chem.partial_file import finished_records
from moldiff.cli import main
from tests.sampling.conftest import VARIABLES, as_rank, cut_off_stream, names

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")


def test_more_molecules_are_added_to_a_whole_file(whole, sample, work, capsys, monkeypatch):
    """Those that were there stay as they are; what is interrupted meanwhile loses neither the old nor the new."""
    suffix = whole[1]
    x, rest = Path(f"x{suffix}"), Path(f"x.partial{suffix}")
    sample(out=x.name, num_samples=8)
    first = x.read_bytes()
    drawn = cut_off_stream(monkeypatch, 2)
    with pytest.raises(SystemExit):
        sample("--resume", out=x.name)
    assert x.read_bytes() == first
    assert set(finished_records(rest).indices) == set(drawn) <= set(range(8, 20))
    before = list(drawn)
    drawn.clear()
    monkeypatch.setattr(MoleculeGenerator, "_allowed", 10**6, raising=False)
    capsys.readouterr()
    sample("--resume", out=x.name)
    assert capsys.readouterr().out.startswith(f"20 molecules written to x{suffix}, ")
    assert sorted([*before, *drawn]) == list(range(8, 20))
    assert x.read_bytes().startswith(first)
    assert list(finished_records(x).indices) == list(range(20))
    assert names(work) == [f"whole{suffix}", x.name]
    rest.write_bytes(x.read_bytes()[len(first) :])  # left by a process that was killed when it had put both together
    sample("--resume", out=x.name)
    assert list(finished_records(x).indices) == list(range(20))
    assert names(work) == [f"whole{suffix}", x.name]


def test_two_writers_cannot_add_to_one_file(sample, work):
    """Nor can one whose view of the file is old: each molecule is there once, or the second is refused."""
    sample(num_samples=3)
    mols = [read_molecules("x.sdf")[0] for _ in range(6)]
    for index, mol in enumerate(mols):
        mol.SetProp("moldiff_index", str(index))
    with MoleculeWriter("x.sdf", resume=True) as late:
        first = MoleculeWriter("x.sdf", resume=True).__enter__()
        first.write(mols[3], place=3)
        with pytest.raises(BlockingIOError, match="being written by another"):
            late.write(mols[3], place=3)
        first.__exit__(RuntimeError, RuntimeError("killed"), None)
        with pytest.raises(BlockingIOError, match="by another process meanwhile"):
            late.write(mols[3], place=3)
    with MoleculeWriter("x.sdf", resume=True) as late:
        assert late.count == 4
        late.write(mols[4], place=4)
    assert list(finished_records(Path("x.sdf")).indices) == list(range(5))
    with MoleculeWriter("x.sdf", resume=True) as late:
        sample("--overwrite", num_samples=2)
        with pytest.raises(BlockingIOError, match="by another process meanwhile"):
            late.write(mols[5], place=5)
    assert list(finished_records(Path("x.sdf")).indices) == [0, 1]


def test_what_comes_after_the_last_whole_record_is_dropped(sample, work):
    sample(num_samples=8)
    data = Path("x.sdf").read_bytes()
    for tail, kept in ((b"\n", 8), (b"", 7)):
        Path("x.sdf").write_bytes(data + tail if tail else data[:-30])
        assert len(finished_records(Path("x.sdf")).indices) == kept
        sample("--resume", num_samples=12)
        assert list(finished_records(Path("x.sdf")).indices) == list(range(12))
        assert len(read_molecules("x.sdf")) == 12


def test_relaxed_molecules_are_no_part_of_a_run(sample, work, capsys):
    """`moldiff relax` keeps what a record says of its run."""
    sample(num_samples=3)
    main(["relax", "--molecules", "x.sdf", "--out", "x.sdf", "--overwrite"])
    with pytest.raises(SystemExit):
        sample("--resume", num_samples=6)
    assert "`moldiff relax` has changed it" in capsys.readouterr().err
    assert names(work) == ["x.sdf"]


def test_what_cannot_be_added_is_kept(whole, sample, work, capsys, monkeypatch):
    data, suffix = whole
    sample("--seed", 1, out=f"y{suffix}")
    x, rest = Path(f"x{suffix}"), Path(f"x.partial{suffix}")
    x.write_bytes(data)
    rest.write_bytes(other := Path(f"y{suffix}").read_bytes())
    with pytest.raises(SystemExit):
        sample("--resume", out=x.name, num_samples=30)
    assert "molecules of another run" in capsys.readouterr().err
    assert (x.read_bytes(), rest.read_bytes()) == (data, other)
    rest.unlink()
    as_rank(monkeypatch, 1, 2)
    with pytest.raises(SystemExit):
        sample("--devices", 2, "--resume", out=x.name, num_samples=30)
    assert "but one alone can add to a file" in capsys.readouterr().err
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit):
        sample("--devices", 2, "--resume", out=x.name, num_samples=30)  # told once, before processes are started
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert x.read_bytes() == data
