"""Sampling that is interrupted: the file is that of an undisturbed run."""

import resource
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file

from moldiff import MoleculeGenerator
from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.chem.partial_file import finished_records
from moldiff.cli import main
from tests.sampling.conftest import cut_off_stream, names

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")


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


@pytest.mark.parametrize(("name", "rank"), [("x.partial.sdf", None), ("x.rank0of2.sdf", 0)])
def test_a_failing_command_takes_nothing_away(sample, work, capsys, monkeypatch, name, rank):
    """`--overwrite` replaces by what is new, not by nothing."""
    (work / name).write_text("molecules")
    devices = [] if rank is None else ["--devices", "2"]
    if rank is not None:
        for variable, value in {"WORLD_SIZE": 2, "RANK": rank, "LOCAL_RANK": rank, "TORCHELASTIC_RUN_ID": "x"}.items():
            monkeypatch.setenv(variable, str(value))
    with pytest.raises(SystemExit):
        main(["sample", "--model", "none", "--num_samples", "1", "--out", "x.sdf", "--overwrite", *devices])
    assert "'none'" in capsys.readouterr().err
    assert (work / name).read_text() == "molecules"
