"""Sampling that is interrupted, or shared by several processes: the file is always the same."""

import resource
import shutil
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from moldiff import MoleculeGenerator
from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.chem.partial_file import finished_records
from moldiff.cli import main
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.diffusion.part import ALL, Part
from moldiff.models import EquivariantGraphTransformer
from moldiff.ranks import Rank, own_rank
from moldiff.training import DiffusionModule

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")

VARIABLES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "TORCHELASTIC_RUN_ID",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURM_STEP_ID",
)


@pytest.fixture(scope="module")
def model(statistics, tmp_path_factory):
    torch.manual_seed(0)
    network = partial(EquivariantGraphTransformer, width=8, pair_width=8, vector_channels=2, num_heads=1, num_blocks=1)
    fields = {"pos": GaussianProcess(), **{f: CategoricalProcess() for f in ("atom_types", "charges", "bond_types")}}
    module = DiffusionModule(network, fields, num_steps=2)
    module.build(statistics)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    MoleculeGenerator(module.model(), "tiny", "cpu").save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """An empty working folder, and no variables of torchrun or srun."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sample(model):
    def sample(*options, out="x.sdf", num_samples=20):
        main(["sample", "--model", str(model), "--device", "cpu", "--out", out, "--num_samples", str(num_samples),
              "--batch_size", "3", *map(str, options)])  # fmt: skip

    return sample


@pytest.fixture(params=[".sdf", ".xyz"])
def whole(request, sample):
    """The bytes of a file of an uninterrupted run, and the ending of its name."""
    sample(out=f"whole{request.param}")
    return Path(f"whole{request.param}").read_bytes(), request.param


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- interrupted


def test_resumed_equals_uninterrupted(whole, sample, work, monkeypatch):
    """Wherever the file is cut off, within a record too, and also when it is resumed twice."""
    data, suffix = whole
    drawn = cut_off_stream(monkeypatch, batches=4)
    with pytest.raises(SystemExit):
        sample(out=f"x{suffix}")
    rest = Path(f"x.partial{suffix}").read_bytes()
    assert len(data) > len(rest) > len(data) // 10
    for kept in (len(rest), len(rest) - 1, len(rest) // 2, len(rest) // 3, 1, 0):
        Path(f"x.partial{suffix}").write_bytes(rest[:kept])
        before = finished_records(Path(f"x.partial{suffix}")).indices
        drawn.clear()
        monkeypatch.setattr(MoleculeGenerator, "_allowed", 2, raising=False)
        with pytest.raises(SystemExit):
            sample("--resume", out=f"x{suffix}")
        monkeypatch.setattr(MoleculeGenerator, "_allowed", 10**6, raising=False)
        sample("--resume", out=f"x{suffix}")
        assert sorted([*before, *drawn]) == list(range(20))  # nothing is drawn into the file twice
        assert Path(f"x{suffix}").read_bytes() == data
        assert names(work) == [f"whole{suffix}", f"x{suffix}"]
        Path(f"x{suffix}").unlink()


def cut_off_stream(monkeypatch, batches):
    """Let each run draw a few batches only; returns the list of the indices that come."""
    stream, drawn = MoleculeGenerator.stream, []

    def failing(self, *arguments, **options):
        for k, batch in enumerate(stream(self, *arguments, **options)):
            if k == self._allowed:
                raise KeyboardInterrupt
            drawn.extend(batch.indices)
            yield batch

    monkeypatch.setattr(MoleculeGenerator, "_allowed", batches, raising=False)
    monkeypatch.setattr(MoleculeGenerator, "stream", failing)
    return drawn


def test_nothing_is_drawn_when_all_is_there(whole, sample, work, capsys, monkeypatch):
    data, suffix = whole
    drawn = cut_off_stream(monkeypatch, 0)
    for name in (f"whole{suffix}", f"x.partial{suffix}"):
        Path(name).write_bytes(data)
        capsys.readouterr()
        sample("--resume", out=name.replace(".partial", ""))
        assert "20 molecules written to" in capsys.readouterr().out
        assert Path(name.replace(".partial", "")).read_bytes() == data
    assert drawn == []


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
    monkeypatch.delenv("RANK")
    with pytest.raises(SystemExit):
        sample("--devices", 2, "--resume", out=x.name, num_samples=30)  # told once, before processes are started
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert x.read_bytes() == data


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", 1], "another run (seed 0, 2 steps, model tiny, weights and other options of digest"),
        (["--num_steps", 3], "expected seed 0, 3 steps"),
        (["--num_atoms", 7], "expected seed 0, 2 steps, model tiny, weights and other options of digest"),
        (["--num_samples", 5], "below num_samples=5"),
    ],
)
def test_file_of_another_run_is_kept(whole, sample, work, capsys, options, message):
    data, suffix = whole
    for name in (f"x.partial{suffix}", f"y{suffix}"):
        Path(name).write_bytes(data)
        with pytest.raises(SystemExit) as stop:
            sample("--resume", *options, out=f"{name[0]}{suffix}")
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
        assert Path(name).read_bytes() == data


def test_other_options_are_told_apart(sample, work, capsys):
    sample("--num_atoms", 7)
    whole = Path("x.sdf").read_bytes()
    for options, fits in ((["--num_atoms", 7], True), (["--num_atoms", 8], False), ([], False)):
        Path("y.partial.sdf").write_bytes(whole)
        with nullcontext() if fits else pytest.raises(SystemExit):
            sample("--resume", *options, out="y.sdf")
        assert Path("y.sdf").exists() == fits
        Path("y.sdf").unlink(missing_ok=True)


def test_the_same_model_trained_anew_is_told_apart(sample, model, work, capsys):
    """By its weights: the name may be the same, such as that of a checkpoint."""
    sample()
    Path("y.partial.sdf").write_bytes(Path("x.sdf").read_bytes())
    sample("--model", shutil.copytree(model, work / "copy" / "tiny"), "--resume", out="y.sdf")
    Path("z.partial.sdf").write_bytes(Path("x.sdf").read_bytes())
    path = work / "copy" / "tiny" / "model.safetensors"
    weights = load_file(path)
    weights["node_out.bias"] += 1e-3
    save_file(weights, path)
    with pytest.raises(SystemExit):
        sample("--model", path.parent, "--resume", out="z.sdf")
    assert "holds molecules of another run" in capsys.readouterr().err
    shutil.copy(model / "model.safetensors", path)
    sample("--model", path.parent, "--resume", out="z.sdf")  # the weights are as they were
    config = yaml.safe_load(path.with_name("config.yaml").read_text())
    config["spec"]["denoiser"]["init_args"]["length_scale"] = 1.8  # the weights stay as they are
    path.with_name("config.yaml").write_text(yaml.safe_dump(config))
    Path("w.partial.sdf").write_bytes(Path("x.sdf").read_bytes())
    with pytest.raises(SystemExit):
        sample("--model", path.parent, "--resume", out="w.sdf")
    assert "holds molecules of another run" in capsys.readouterr().err


def test_foreign_and_doubled_records(sample, work, capsys):
    sample(num_samples=2)
    text = Path("x.sdf").read_text()
    for content, message in ((text + text, "each index once"), ("name\n$$$$\n", "does not say its moldiff_index")):
        Path("y.partial.sdf").write_text(content)
        with pytest.raises(SystemExit):
            sample("--resume", out="y.sdf")
        assert message in capsys.readouterr().err
        assert Path("y.partial.sdf").read_text() == content


def test_one_writer_at_a_time(sample, capsys):
    with MoleculeWriter("x.sdf") as writer:
        for option in ("--resume", "--overwrite"):
            with pytest.raises(SystemExit):
                sample(option)
            assert "being written by another process" in capsys.readouterr().err
        writer.write(None)
    assert len(read_molecules("x.sdf")) == 1


def test_full_disk_loses_nothing(whole, sample, work, capsys):
    """No file may grow beyond a limit: first the molecules do not fit, then the copy in order."""
    data, suffix = whole
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (len(data) // 2, len(data) // 2 + 100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(SystemExit) as stop:
                sample(*["--resume"] * Path(f"x.partial{suffix}").exists(), out=f"x{suffix}")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert stop.value.code == 2
        assert "make room" in capsys.readouterr().err
        found = finished_records(Path(f"x.partial{suffix}"))
        assert sum(found.lengths) == Path(f"x.partial{suffix}").stat().st_size > 0  # whole records only
    sample("--resume", out=f"x{suffix}")
    assert Path(f"x{suffix}").read_bytes() == data


# ---- several processes


def as_rank(monkeypatch, number, total):
    """What torchrun sets."""
    values = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": total, "TORCHELASTIC_RUN_ID": 1}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


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
    with pytest.raises(ValueError, match="8 processes were started; expected 6"):
        own_rank(3, 2)
    with pytest.raises(ValueError, match="at least 1"):
        own_rank(0, 1)
