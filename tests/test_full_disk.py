"""Where nothing can be written, a clear error comes, and what was there before stays whole."""

import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from moldiff.chem.text_file import write_text
from moldiff.cli import main
from moldiff.data.sdf import sdf_table
from moldiff.training import AtomicCheckpointIO

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")


@contextmanager
def full_disk(limit=20_000):
    """No file can grow beyond a number of bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_checkpoint(tmp_path):
    io, place = AtomicCheckpointIO(), tmp_path / "runs" / "last.ckpt"
    io.save_checkpoint({"step": 1, "weights": torch.ones(100)}, place)
    (place.parent / ".last.ckpt.999").write_text("left by a process that was killed")
    with full_disk(), pytest.raises(OSError, match=r"the checkpoint before it is whole.*last\.ckpt"):
        io.save_checkpoint({"step": 2, "weights": torch.ones(100_000)}, place)
    assert torch.load(place, weights_only=True)["step"] == 1
    assert names(place.parent) == ["last.ckpt"]


def test_error_that_is_none_of_the_disk_is_not_taken_for_one(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("other")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RuntimeError, match="other"):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "a.ckpt")
    assert names(tmp_path) == []


def test_text_file(tmp_path):
    path = tmp_path / "report.json"
    write_text(path, "old")
    with full_disk(), pytest.raises(OSError, match=r"nothing was written: make room.*report\.json"):
        write_text(path, "x" * 30_000)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.json"]


def test_cache(root, work):
    molecules = root / "tests" / "fixtures" / "qm9_200.sdf"
    with full_disk(), pytest.raises(OSError, match=r"make room, or choose another folder, by.*MOLDIFF_CACHE"):
        sdf_table(molecules)
    assert names(work / "cache") == []
    assert len(sdf_table(molecules)) == 200
    (file,) = (work / "cache").iterdir()
    file.unlink()  # a cache that was removed is made again
    assert len(sdf_table(molecules)) == 200
    assert file.exists()


@pytest.mark.parametrize("folder", ["file/below", "/dev/null/cache", "/proc/moldiff"])
def test_cache_where_no_folder_can_be(root, work, monkeypatch, folder):
    (work / "file").write_text("")
    monkeypatch.setenv("MOLDIFF_CACHE", folder)
    with pytest.raises(OSError, match=r"could not be written.*MOLDIFF_CACHE"):
        sdf_table(root / "tests" / "fixtures" / "qm9_200.sdf")


@pytest.mark.parametrize("folder", ["file", "/proc"])
def test_folder_that_cannot_be_written_to(root, work, capsys, folder):
    (work / "file").write_text("")
    molecules = str(root / "tests" / "fixtures" / "qm9_200.sdf")
    for command in (
        ["sample", "--num_samples", "1", "--out", f"{folder}/x.sdf", "--device", "cpu"],
        ["evaluate", "--molecules", molecules, "--out", f"{folder}/x.json", "--reference", "null"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(command)
        assert stop.value.code == 2
        assert folder in capsys.readouterr().err


def test_training_on_a_full_disk(root, work, capsys):
    options = ["fit", "--config", str(root / "tests" / "training" / "tiny.yaml")]
    options += ["--data.init_args.path", str(root / "tests" / "fixtures" / "qm9_200.sdf")]
    main([*options, "--trainer.max_steps", "6"])  # saves after 5 and 6
    size = Path("checkpoints/last.ckpt").stat().st_size
    capsys.readouterr()
    with full_disk(size - 1000), pytest.raises(SystemExit) as stop:
        main([*options, "--ckpt_path", "last"])
    assert stop.value.code == 2
    assert "the checkpoint before it is whole" in capsys.readouterr().err
    assert torch.load("checkpoints/last.ckpt", weights_only=True)["global_step"] == 6
    main([*options, "--ckpt_path", "last"])
    assert torch.load("checkpoints/last.ckpt", weights_only=True)["global_step"] == 12
