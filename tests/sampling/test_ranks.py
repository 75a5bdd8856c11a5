"""Sampling that is shared by several processes: the file is that of one."""

from pathlib import Path

import pytest
import torch

from moldiff import MoleculeGenerator
from moldiff.diffusion.part import ALL, Part
from moldiff.ranks import Rank, own_rank
from tests.sampling.conftest import as_rank, cut_off_stream, names

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")


@pytest.mark.parametrize("total", [2, 3, 30])  # more processes than batches, too
def test_any_number_of_ranks_gives_the_same_file(whole, sample, work, monkeypatch, capsys, total):
    data, suffix = whole
    for number in reversed(range(total)):
        as_rank(monkeypatch, number, total)
        capsys.readouterr()
        sample("--devices", total, out=f"x{suffix}")
    assert capsys.readouterr().out.startswith(f"20 molecules written to x{suffix}, ")
    assert Path(f"x{suffix}").read_bytes() == data
    assert names(work) == [f"whole{suffix}", f"x{suffix}"]


def test_each_molecule_is_drawn_by_one_rank_or_none_goes_on():
    cut = [list(torch.arange(24).split(size)) for size in (4, 8)]
    first = frozenset(i for batch in list(Part(1, 2).of(cut[0]))[:2] for i in batch.tolist())
    left = [{i for batch in Part(k, 2, d).of(cut[0]) for i in batch.tolist()} for k, d in ((0, ALL.done), (1, first))]
    assert sorted([*first, *left[0], *left[1]]) == list(range(24))
    with pytest.raises(ValueError, match=r"process 2 of 2 has molecule 4, .* same --num_samples and --batch_size"):
        list(Part(1, 2, first).of(cut[1]))  # process 1 would draw it, too
    assert not list(Part(1, 2, frozenset(range(24))).of(cut[1]))  # who finds all there has nothing to do


def test_dead_rank_is_run_again(whole, sample, work, monkeypatch, capsys):
    data, suffix = whole
    as_rank(monkeypatch, 0, 2)
    sample("--num_nodes", 2, out=f"x{suffix}")
    assert f"share 1 of 2 written to x.rank0of2{suffix}" in capsys.readouterr().out
    as_rank(monkeypatch, 1, 2)
    drawn = cut_off_stream(monkeypatch, 1)
    with pytest.raises(SystemExit):
        sample("--num_nodes", 2, out=f"x{suffix}")
    assert names(work) == [f"whole{suffix}", f"x.rank0of2{suffix}", f"x.rank1of2.partial{suffix}"]
    first = set(drawn)
    monkeypatch.setattr(MoleculeGenerator, "_allowed", 10**6, raising=False)
    for number in (0, 1, 0):  # all are started again; who is done has nothing to do
        drawn.clear()
        as_rank(monkeypatch, number, 2)
        sample("--num_nodes", 2, "--resume", out=f"x{suffix}")
        assert bool(drawn) == (number == 1)
        assert first.isdisjoint(drawn)
    assert Path(f"x{suffix}").read_bytes() == data
    Path(f"x.rank1of2{suffix}").write_bytes(b"left by a process that was killed when it had gathered all")
    as_rank(monkeypatch, 1, 2)
    sample("--num_nodes", 2, "--resume", out=f"x{suffix}")
    assert names(work) == [f"whole{suffix}", f"x{suffix}"]


def test_processes_of_one_machine(sample, work):
    sample(out="whole.sdf")
    sample("--devices", 2)
    assert Path("x.sdf").read_bytes() == Path("whole.sdf").read_bytes()
    assert names(work) == ["whole.sdf", "x.sdf"]
    with pytest.raises(SystemExit):
        sample("--devices", 2)  # it exists


def test_shares_of_other_runs_are_not_mixed(sample, work, monkeypatch, capsys):
    as_rank(monkeypatch, 0, 2)
    sample("--devices", 2)
    as_rank(monkeypatch, 1, 2)
    with pytest.raises(SystemExit):
        sample("--devices", 2, "--seed", 1)
    assert "of 2 runs; expected each of 20 once" in capsys.readouterr().err
    assert names(work) == ["x.rank0of2.sdf", "x.rank1of2.sdf"]


def test_who_is_who(monkeypatch):
    assert own_rank(1, 1) == Rank(0, 1, 0)
    assert own_rank(4, 1) is None
    with pytest.raises(ValueError, match="srun --nodes=2 --ntasks-per-node=4"):
        own_rank(4, 2)
    slurm = {"NTASKS": "8", "NTASKS_PER_NODE": "4", "PROCID": "5", "LOCALID": "1", "NODEID": "1", "JOB_NAME": "job"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert own_rank(4, 1) is None  # a batch script without srun: nobody has started the others
    with pytest.raises(ValueError, match="was not started by srun"):
        own_rank(4, 2)
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    assert own_rank(4, 2) == Rank(5, 8, 1)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    for count, device in ((1, "cuda:0"), (4, "cuda:1")):  # Slurm may show each process its own GPU only
        monkeypatch.setattr("torch.cuda.device_count", lambda count=count: count)
        assert Rank(5, 8, 1).device(None) == device
    with pytest.raises(ValueError, match="8 processes were started; expected 6"):
        own_rank(3, 2)
    with pytest.raises(ValueError, match="at least 1"):
        own_rank(0, 1)
