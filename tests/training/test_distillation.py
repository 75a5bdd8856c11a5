"""Distillation from the config to molecules in few steps."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

from moldiff.chem.files import read_molecules
from moldiff.cli import main
from moldiff.data import ComplexDataModule, SDFDataModule
from moldiff.diffusion import CategoricalProcess, EulerSampler, GaussianProcess, MultistepSampler, StreamNoise
from moldiff.diffusion.frame import centre, own_frame
from moldiff.diffusion.model import read_model
from moldiff.models import EquivariantGraphTransformer
from moldiff.models.denoiser import Context, Prediction
from moldiff.training import DistillationModule
from moldiff.training.distillation_module import UNDERWAY
from moldiff.training.underway import Underway

pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning", "ignore:::lightning_fabric")

FIELDS = ("atom_types", "charges", "bond_types")
Distill = Callable[..., Path]
Run = Callable[..., None]


@pytest.fixture(scope="module")
def distill(root: Path, molecules: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Distill:
    """`distill(*options)` in a new folder, which is given back, from the tiny model as teacher."""
    config = yaml.safe_load((root / "tests" / "training" / "tiny.yaml").read_text(encoding="utf-8"))
    del config["likelihood"]
    config["model"] |= {"num_steps": 2, "teacher": str(trained / "checkpoints" / "last.ckpt")}
    config["data"]["init_args"]["path"] = str(molecules)

    def run(*options: str) -> Path:
        folder = tmp_path_factory.mktemp("distilled")
        (folder / "fast.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            main(["distill", "--config", "fast.yaml", *options])
        return folder

    return run


def module(teacher: Path, **settings: object) -> DistillationModule:
    """A student of the tiny model, which has not learnt yet."""
    known = read_model(teacher)
    sizes = {"width": 16, "pair_width": 8, "vector_channels": 4, "num_heads": 2, "num_blocks": 2, "num_bases": 4}
    laws = {"pos": GaussianProcess(), **{name: CategoricalProcess() for name in FIELDS}}
    student = DistillationModule(
        lambda vocabulary: EquivariantGraphTransformer(vocabulary, **sizes), laws, teacher, **settings
    )
    student.build(known.statistics)
    student.denoiser.load_state_dict(known.denoiser.state_dict())
    return student


def assert_same(first: object, second: object) -> None:
    """Two batches, field by field."""
    for field in fields(first):
        mine, its = getattr(first, field.name), getattr(second, field.name)
        if isinstance(mine, torch.Tensor):
            torch.testing.assert_close(mine, its)
        else:
            assert mine == its


@pytest.fixture
def teacher(trained: Path) -> Path:
    return trained / "checkpoints" / "last.ckpt"


def test_a_student_that_makes_the_teacher_s_step_has_nothing_to_learn(teacher: Path, molecules: Path) -> None:
    """If both ask the same network once from one time to the next, and the last estimate is taken over."""
    student = module(teacher, num_steps=1, sampler=EulerSampler())
    student.teacher = read_model(teacher)
    student.on_fit_start()
    object.__setattr__(student.teacher, "num_steps", 1)  # one estimate at t = 1, and that is all
    clean = centre(next(iter(SDFDataModule(molecules, batch_size=8).train_dataloader())))
    noise = StreamNoise(torch.Generator().manual_seed(0))
    losses, then = student.taught(student.set_out(clean.mask, noise), noise)
    assert then is None
    assert losses["pos"].max() < 1e-8
    assert {name: loss.shape for name, loss in losses.items()} == dict.fromkeys(("pos", *FIELDS), (8,))
    assert all(weight.grad is None for weight in student.teacher.denoiser.parameters())
    sum(loss.sum() for loss in losses.values()).backward()
    assert student.denoiser.node_out.weight.grad is not None


def test_molecules_underway_go_the_way_of_the_sampler(
    teacher: Path, molecules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they set out with some steps or are taught at each: those of the same noise arrive at the same states."""
    student = module(teacher, num_steps=4, sampler=EulerSampler(jump_rate=8.0))
    student.teacher = read_model(teacher)
    monkeypatch.setattr(student, "_aim", lambda noisy, *_: noisy)  # takes no noise from the stream
    mask = next(iter(SDFDataModule(molecules, batch_size=8).train_dataloader())).mask
    ends = []
    for first in range(4):
        noise = StreamNoise(torch.Generator().manual_seed(0))
        here = student.set_out(mask, noise, first)
        for _ in range(3 - first):
            _, here = student.taught(here, noise)
        assert here.stage == 3
        ends.append(here)
    noise = StreamNoise(torch.Generator().manual_seed(0))
    drawn = student.sampler(student.denoiser, student.process, mask, 4, noise)
    for here in ends:
        with torch.no_grad():
            context = Context(previous=here.previous)
            t = student.sampler.grid(4)[3].expand(len(mask))
            estimate = student.process.estimate(here.batch, student.denoiser(here.batch, t, context), t)
        assert_same(student.process.decode(estimate, mask), drawn)


def test_as_many_batches_are_underway_at_each_step(
    teacher: Path, molecules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each round the student is taught once at each of its steps, and the molecules that arrive are replaced."""
    student = module(teacher, num_steps=4)
    student.teacher = read_model(teacher)
    monkeypatch.setattr(student, "noise_of_step", lambda k: StreamNoise(torch.Generator().manual_seed(k)))
    monkeypatch.setattr(student, "logged", lambda *_: None)
    taught, visits = student.taught, []
    monkeypatch.setattr(student, "taught", lambda here, noise: visits.append(here.stage) or taught(here, noise))
    batch = next(iter(SDFDataModule(molecules, batch_size=8).train_dataloader()))
    count = 4 * UNDERWAY
    for k in range(3 * count):
        student.training_step(batch, k)
    rounds = [visits[k : k + count] for k in (0, count, 2 * count)]
    assert all(sorted(stages) == sorted(UNDERWAY * [0, 1, 2, 3]) for stages in rounds)
    assert sorted(here.stage for here in student.underway.values()) == sorted(UNDERWAY * [1, 2, 3])  # others arrived
    assert len({tuple(stages) for stages in rounds}) > 1


@pytest.mark.filterwarnings("ignore:You are trying to")  # a logger that is not there
def test_molecules_with_which_nothing_can_be_learnt_set_out_anew(
    teacher: Path, molecules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = module(teacher, num_steps=2, on_bad_batch="skip")
    student.teacher = read_model(teacher)
    monkeypatch.setattr(student, "noise_of_step", lambda k: StreamNoise(torch.Generator().manual_seed(k)))
    batch = next(iter(SDFDataModule(molecules, batch_size=8).train_dataloader()))
    here = student.set_out(batch.mask, student.noise_of_step(0))
    spoilt = replace(here, batch=here.batch.replace(pos=here.batch.pos * torch.nan))
    student.underway = dict.fromkeys(range(2 * UNDERWAY), spoilt)
    loss = student.training_step(batch, 1)
    assert loss == 0
    assert len(student.underway) == 2 * UNDERWAY - 1
    student.bad_batches.action = "stop"
    with pytest.raises(ValueError, match=r"the loss is no finite number for pos \(molecule at place 0 of the batch"):
        student.training_step(batch, 2)


def test_what_is_underway_is_kept_whole(tmp_path: Path) -> None:
    """In a checkpoint that is read without running code."""
    data = ComplexDataModule(Path(__file__).parents[1] / "fixtures" / "pockets", batch_size=2)
    (batch, *_) = data.train_dataloader()
    molecules, pocket = own_frame(batch)
    shown = torch.zeros(len(molecules), 2)
    here = Underway(molecules, 3, Prediction(molecules.pos, bond_types=shown), pocket, shown)
    torch.save(here.to_dict(), tmp_path / "here.pt")
    back = Underway.from_dict(torch.load(tmp_path / "here.pt", weights_only=True)).to("cpu")
    assert (back.stage, back.pocket.level) == (3, "atom")
    assert_same(back.batch, replace(molecules, properties={}, index=None))
    assert_same(back.previous, here.previous)
    assert_same(back.pocket, pocket)
    torch.testing.assert_close(back.properties, shown)
    bare = Underway.from_dict(Underway(molecules, 0).to_dict())
    assert (bare.previous, bare.pocket, bare.properties) == (None, None, None)


def test_settings_made_in_python_are_kept_as_a_config(teacher: Path) -> None:
    """So that such a student can be exported: its hyper-parameters are plain, those of the teacher among them."""
    laws = {"pos": GaussianProcess(), **{name: CategoricalProcess() for name in FIELDS}}
    network = partial(EquivariantGraphTransformer, width=16, num_heads=2)
    student = DistillationModule(network, laws, teacher, sampler=EulerSampler(jump_rate=8.0), teacher_steps=30)
    assert student.is_config
    assert student.hparams["denoiser"]["init_args"] == {"width": 16, "num_heads": 2}
    assert student.hparams["sampler"]["init_args"] == {"jump_rate": 8.0}
    assert (student.hparams["teacher"], student.hparams["teacher_steps"]) == (str(teacher), 30)


def test_distilled_resumed_and_drawn(distill: Distill, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = distill()
    checkpoints = whole / "checkpoints"
    resumed = distill("--ckpt_path", str(checkpoints / "epoch=1-step=5.ckpt"))
    states = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for folder in (whole, resumed)
    ]
    assert states[0].keys() == states[1].keys()
    assert not any("teacher" in name for name in states[0])
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name])
    monkeypatch.chdir(whole)
    main(["export", "--checkpoint", "checkpoints/last.ckpt", "--out", "model"])
    assert read_model(whole / "model").num_steps == 2
    main(["sample", "--model", "model", "--num_samples", "3", "--num_atoms", "5", "--out", "new.sdf"])
    assert {mol.GetProp("moldiff_num_steps") for mol in read_molecules("new.sdf")} == {"2"}


def test_molecules_underway_to_other_times_are_left(distill: Distill, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go on where the student's steps are as they were; two batches make a training step."""
    monkeypatch.chdir(distill("--trainer.max_steps", "4"))
    first, turns = Path("checkpoints", "last.ckpt").read_bytes(), []
    for options in ((), ("--model.sampler", "EulerSampler", "--model.sampler.grid", "UniformGrid")):
        Path("checkpoints", "last.ckpt").write_bytes(first)
        main(["distill", "--config", "fast.yaml", "--trainer.max_steps", "6", "--ckpt_path", "last", *options])
        turns.append(torch.load(Path("checkpoints", "last.ckpt"), weights_only=True)["underway"]["turn"])
    assert turns[1] == 4 < turns[0]


def test_a_small_student_of_a_large_teacher(distill: Distill, run: Run, tmp_path: Path) -> None:
    run(tmp_path, "fit", "--model.denoiser.init_args.num_blocks", "1", "--trainer.max_steps", "2")
    small = str(tmp_path / "checkpoints" / "last.ckpt")
    folder = distill("--model.denoiser.init_args.num_blocks", "1", "--model.init_from", small, "--model.lr", "0")
    student, start = (read_model(path).denoiser for path in (folder / "checkpoints" / "last.ckpt", Path(small)))
    assert len(student.blocks) == 1
    for name, value in start.state_dict().items():
        torch.testing.assert_close(student.state_dict()[name], value)


def test_what_a_student_cannot_be_taught(
    distill: Distill, teacher: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="deterministic first-order steps: got MultistepSampler"):
        module(teacher, sampler=MultistepSampler())
    with pytest.raises(ValueError, match="deterministic first-order steps"):
        module(teacher, sampler=EulerSampler(stochasticity=0.5))
    with pytest.raises(ValueError, match="num_steps must be a number from 1 on: got 0"):
        module(teacher, num_steps=0)
    for options, message in (
        (("--model.processes.pos.init_args.scale", "3.0"), "the noise law of its teacher"),
        (("--model.teacher_steps", "2"), "more steps than the student: got 2 and 2"),
        (("--model.num_steps", "4"), "more steps than the student: got 4 and 4"),
        (("--model.guidance_scale", "2"), "only a teacher that reads properties or a pocket can be guided"),
        (("--model.processes.bond_types.init_args.schedule", "CosineSchedule"), "the noise law of its teacher"),
        (("--model.teacher", str(tmp_path / "none")), "expected one of the bundled models"),
        (("--model.denoiser.init_args.width", "24"), "are of another network"),
    ):
        with pytest.raises(SystemExit) as stop:
            distill(*options)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
