"""A model of molecules with and without a pocket: mixed batches, training, and sampling in a pocket."""

import copy
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from rdkit import Chem

from moldiff.chem.files import read_molecules
from moldiff.cli import main
from moldiff.data.batch import MolBatch
from moldiff.data.complex_datamodule import ComplexDataModule
from moldiff.data.druglike_datamodule import DrugLikeDataModule
from moldiff.data.mixed_datamodule import MixedDataModule
from moldiff.data.pocket_batch import ComplexBatch
from moldiff.diffusion import CategoricalProcess, GaussianProcess, StreamNoise
from moldiff.diffusion.frame import own_frame
from moldiff.models import EquivariantGraphTransformer, PocketEncoder
from moldiff.nn.geometry import mean_position
from moldiff.training import DiffusionModule, DistillationModule

ROOT = Path(__file__).resolve().parents[2]
POCKETS = ROOT / "tests" / "fixtures" / "pockets"
SMILES = ["CCOCCO", "c1ccccc1C(=O)O", "CC(=O)Nc1ccccc1", "c1ccncc1CN", "CCCCCCCO", "OC1CCCCC1", "CCCOC(=O)C"]
SMILES += ["NCCc1ccccc1"]


@pytest.fixture
def smiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "molecules.smi"
    path.write_text("\n".join(SMILES))
    return path


def mixed(smiles: Path, every: int = 2) -> MixedDataModule:
    molecules = DrugLikeDataModule([str(smiles)], batch_size=1, val_fraction=0.2, test_fraction=0.0, processes=1)
    return MixedDataModule(molecules, ComplexDataModule(POCKETS, batch_size=1), every)


def small(pos: GaussianProcess | None = None) -> DiffusionModule:
    """A tiny model of molecules in pockets, to be trained."""
    sizes = {"width": 8, "pair_width": 4, "vector_channels": 2, "num_heads": 1, "num_blocks": 1}
    network = partial(EquivariantGraphTransformer, **sizes, pocket_encoder=PocketEncoder(width=8, vector_channels=2))
    fields = {name: CategoricalProcess() for name in ("atom_types", "charges", "bond_types")}
    return DiffusionModule(network, {"pos": pos or GaussianProcess(align_noise="permutation"), **fields})


def marks(batches: list[MolBatch | ComplexBatch]) -> list[tuple[str, float]]:
    return [
        (type(b).__name__, float((b.molecules if isinstance(b, ComplexBatch) else b).pos.abs().sum())) for b in batches
    ]


def test_both_kinds_come_in_turns(smiles: Path) -> None:
    data = mixed(smiles)
    loader = data.train_dataloader()
    kinds = [kind for kind, _ in marks(list(loader))]
    assert len(kinds) == len(loader)
    assert kinds.count("MolBatch") == len(data.train)
    assert kinds[:6] == ["MolBatch", "MolBatch", "ComplexBatch", "MolBatch", "MolBatch", "ComplexBatch"]
    assert kinds[-1] == "MolBatch"


def test_complexes_come_equally_often(smiles: Path) -> None:
    loader = mixed(smiles, every=1).train_dataloader()
    seen = []
    for epoch in range(4):
        loader.batch_sampler.set_epoch(epoch)
        seen += [mark for kind, mark in marks(list(loader)) if kind == "ComplexBatch"]
    counts = np.unique(seen, return_counts=True)[1]
    assert len(counts) == 2  # in the training split
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("done", range(9))
def test_loader_goes_on_where_it_was(smiles: Path, done: int) -> None:
    loader = mixed(smiles).train_dataloader()
    loader.batch_sampler.set_epoch(1)
    whole = marks(list(loader))
    loader = mixed(smiles).train_dataloader()
    loader.batch_sampler.set_epoch(1)
    iterator = iter(loader)
    for _ in range(done):
        next(iterator)
    state = copy.deepcopy(loader.state_dict())
    other = mixed(smiles).train_dataloader()
    other.load_state_dict(state)
    rest = marks(list(other)) if done < len(whole) else []
    assert rest == whole[done:]


def test_pocket_model_trains_and_designs(smiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"width": 16, "pair_width": 8, "vector_channels": 4, "num_heads": 2, "num_blocks": 1}
    options = [f"--model.denoiser.init_args.{name}={value}" for name, value in small.items()]
    options += ["--model.denoiser.init_args.pocket_encoder.init_args.width=8"]
    options += ["--data.molecules", "DrugLikeDataModule", f"--data.molecules.sources=[{smiles}]"]
    options += ["--data.molecules.batch_size=2", "--data.molecules.val_fraction=0.2", "--data.molecules.processes=1"]
    options += [f"--data.complexes.path={POCKETS}", "--data.complexes.batch_size=2"]
    options += ["--data.every=1", "--trainer.max_steps=4", "--trainer.accelerator=cpu"]
    options += ["--trainer.log_every_n_steps=1", "--trainer.val_check_interval=2"]
    options += ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    main(["fit", "--config", str(ROOT / "configs" / "pocket.yaml"), *options])
    header = next(tmp_path.glob("runs/*/csv/version_0/metrics.csv")).read_text().splitlines()[0].split(",")
    assert {"val/loss", "train/loss"} <= set(header)
    checkpoint = next(tmp_path.glob("runs/pocket/checkpoints/*.ckpt"))
    entry = next(path.parent for path in sorted(POCKETS.glob("complexes/*/ligand.sdf")))
    reference = next(iter(Chem.SDMolSupplier(str(entry / "ligand.sdf"))))
    files = ["--pocket", str(entry / "pocket.pdb"), "--reference_ligand", str(entry / "ligand.sdf")]
    main(
        [
            "sample",
            "--model",
            str(checkpoint),
            "--num_samples=2",
            "--num_steps=3",
            "--out=new.sdf",
            "--avoid_clashes=0",
            *files,
        ]
    )
    for mol in read_molecules(tmp_path / "new.sdf"):
        assert mol.GetNumHeavyAtoms() == mol.GetNumAtoms() == reference.GetNumHeavyAtoms()
        centre = mol.GetConformer().GetPositions().mean(0)
        np.testing.assert_allclose(centre, reference.GetConformer().GetPositions().mean(0), atol=2e-3)
    state = torch.load(checkpoint, weights_only=True)
    assert state["global_step"] == 4
    config = ["--config", str(ROOT / "configs" / "pocket_distilled.yaml"), "--model.teacher", str(checkpoint)]
    main(["distill", *config, *options])
    student = next(tmp_path.glob("runs/pocket_distilled/checkpoints/*.ckpt"))
    main(["sample", "--model", str(student), "--num_samples=1", "--out=student.sdf", *files])
    assert read_molecules(tmp_path / "student.sdf")[0].GetProp("moldiff_num_steps") == "20"


def test_noise_must_not_be_turned_towards_a_molecule_in_a_pocket(tmp_path: Path) -> None:
    """It would tell how the molecule lies there; samplers draw noise that knows nothing of it."""
    module = small(GaussianProcess())
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0}
    trainer = pl.Trainer(accelerator="cpu", max_steps=1, default_root_dir=tmp_path, **quiet)
    with pytest.raises(ValueError, match="got align_noise = true; set it to permutation"):
        trainer.fit(module, ComplexDataModule(POCKETS, batch_size=1))


def test_a_student_learns_in_pockets(tmp_path: Path) -> None:
    """One that makes the teacher's step has nothing to learn; another learns with the encoder of the pocket, too."""
    data = ComplexDataModule(POCKETS, batch_size=2)
    (batch, *_) = data.train_dataloader()
    clean, pocket = own_frame(batch)
    teacher = small()
    teacher.build(data.statistics)
    laws = teacher.processes
    student = DistillationModule(lambda _: copy.deepcopy(teacher.denoiser), laws, tmp_path, num_steps=1)
    student.build(data.statistics)
    student.teacher = teacher.model()
    object.__setattr__(student.teacher, "num_steps", 2)
    student.on_fit_start()
    object.__setattr__(student.teacher, "num_steps", 1)
    losses, blind = (
        student.taught(student.set_out(clean.mask, noise, 0, shown), noise)[0]
        for noise, shown in ((StreamNoise(torch.Generator().manual_seed(0)), shown) for shown in (pocket, None))
    )
    assert losses["pos"].max() < 1e-8
    assert not torch.equal(blind["atom_types"], losses["atom_types"])
    sum(loss.sum() for loss in losses.values()).backward()
    assert any(weight.grad.any() for weight in student.denoiser.pocket_encoder.parameters() if weight.grad is not None)


def test_a_student_and_its_teacher_are_kept_out_of_the_pocket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Molecules move away as a whole, too, as in sampling; what the student is to learn is centred, as its answers."""
    data = ComplexDataModule(POCKETS, batch_size=2)
    (batch, *_) = data.train_dataloader()
    clean, pocket = own_frame(batch)
    pocket = pocket.replace(pos=pocket.pos - 3.0)  # into the way
    teacher = small()
    teacher.build(data.statistics)
    laws, settings = teacher.processes, {"num_steps": 8, "teacher_steps": 16}
    student = DistillationModule(lambda _: copy.deepcopy(teacher.denoiser), laws, tmp_path, **settings)
    student.build(data.statistics)
    student.teacher = teacher.model()
    asked, taught = [], []
    student.denoiser.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[0].pos))
    loss = student.process.loss
    monkeypatch.setattr(student.process, "loss", lambda *args: taught.append(args[1:3]) or loss(*args))
    moved = {}
    for scale in (0.0, 1.0):
        student.avoid_clashes = scale
        student.on_fit_start()
        noise = StreamNoise(torch.Generator().manual_seed(0))
        here = student.set_out(clean.mask, noise, 2, pocket)
        while here is not None:
            losses, here = student.taught(here, noise)
            assert all(value.isfinite().all() for value in losses.values())
            moved[scale] = max(moved.get(scale, 0.0), float(mean_position(asked[-1], clean.mask).norm(dim=-1).max()))
    assert moved[0.0] < 1e-4
    assert moved[1.0] > 0.1
    for molecules in (molecules for pair in taught for molecules in pair):
        assert mean_position(molecules.pos, clean.mask).abs().max() < 1e-4
    for encoder in (None, PocketEncoder("residue", 8, 2)):
        student.denoiser.pocket_encoder = encoder
        with pytest.raises(ValueError, match="sees the atoms of pockets: got 1 and one that sees none"):
            student.on_fit_start()
    with pytest.raises(ValueError, match="avoid_clashes must be a number from 0 on: got inf"):
        DistillationModule(lambda _: teacher.denoiser, laws, tmp_path, avoid_clashes=math.inf)
