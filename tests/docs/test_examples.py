"""The worked examples of the documentation obey the laws of what they implement, and work in `moldiff fit`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from radial_network import RadialNetwork
from simplex_process import SimplexProcess
from torch import Tensor
from xyz_data import XYZDataModule

from moldiff.chem import MoleculeWriter, Vocabulary, read_molecules
from moldiff.chem.smiles import canonical_smiles
from moldiff.cli import main
from moldiff.data import Statistics
from moldiff.diffusion import MoleculeNoise, StepOptions, StreamNoise
from moldiff.testing import check_denoiser, random_mask

T = torch.tensor([0.9, 0.5, 0.2])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOLDIFF_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def process(statistics: Statistics) -> SimplexProcess:
    made = SimplexProcess(weight=0.5)
    made.calibrate("atom_types", statistics)
    return made


@pytest.fixture
def mask() -> Tensor:
    return random_mask((5, 3, 1))


@pytest.fixture
def clean(mask: Tensor) -> Tensor:
    return torch.randint(5, mask.shape, generator=torch.Generator().manual_seed(1)) * mask


@pytest.fixture
def estimate(clean: Tensor) -> Tensor:
    """Of somebody who knows the clean field."""
    return torch.nn.functional.one_hot(clean, 5).float()


@pytest.fixture
def xyz(root: Path, tmp_path: Path) -> Path:
    with MoleculeWriter(tmp_path / "molecules.xyz") as writer:
        for mol in read_molecules(root / "tests" / "fixtures" / "qm9_200.sdf")[:40]:
            writer.write(mol)
    return writer.path


def noise() -> StreamNoise:
    return StreamNoise(torch.Generator().manual_seed(0))


def test_denoiser_is_lawful() -> None:
    vocabulary = Vocabulary(("H", "C", "N", "O", "F"))
    torch.manual_seed(0)
    check_denoiser(RadialNetwork(vocabulary, width=16, num_layers=2), vocabulary)


def test_process_runs_from_the_data_to_the_prior(process: SimplexProcess, estimate: Tensor) -> None:
    mask = torch.ones(20_000, 2, dtype=torch.bool)
    clean = torch.tensor([1, 3]).expand(20_000, 2)
    ends = [process.corrupt(clean, torch.full((20_000,), t), mask, noise()) for t in (0.0, 1.0)]
    assert torch.equal(ends[0], torch.nn.functional.one_hot(clean, 5).float())
    torch.testing.assert_close(ends[1], process.prior(mask, noise()))
    torch.testing.assert_close(ends[1].sum(-1), torch.ones(20_000, 2))
    torch.testing.assert_close(ends[1].mean(0), torch.full((2, 5), 0.2), atol=0.01, rtol=0)
    variance = torch.full((2, 5), 4 / 25 / 6)  # of the flat Dirichlet law of K classes: (K - 1) / (K^2 (K + 1))
    torch.testing.assert_close(ends[1].var(0), variance, atol=0.002, rtol=0)


@pytest.mark.parametrize("part", [1.0, 0.5, 0.0])
def test_process_step_keeps_the_law(
    process: SimplexProcess, clean: Tensor, mask: Tensor, estimate: Tensor, part: float
) -> None:
    """With the true estimate, a step leads to the point of the same line; a step to the same time changes nothing."""
    noisy = process.corrupt(clean, T, mask, noise())
    stepped = process.step(noisy, estimate, T, part * T, mask, noise(), StepOptions())
    torch.testing.assert_close(stepped, process.corrupt(clean, part * T, mask, noise()))


def test_process_loss_and_estimate(process: SimplexProcess, clean: Tensor, mask: Tensor, estimate: Tensor) -> None:
    noisy = process.corrupt(clean, T, mask, noise())
    truth = 100 * estimate
    torch.testing.assert_close(process.estimate(noisy, truth, T, mask), estimate)
    assert torch.equal(process.decode(estimate), clean)
    torch.testing.assert_close(process.loss(truth, clean, noisy, T, mask), torch.zeros(3))
    flat = process.loss(0 * truth, clean, noisy, T, mask)
    torch.testing.assert_close(flat, 0.5 * torch.full((3,), 5.0).log())


def test_process_ignores_padding(process: SimplexProcess, clean: Tensor, mask: Tensor, estimate: Tensor) -> None:
    def run(pad: Callable[[Tensor], Tensor]) -> list[Tensor]:
        keyed, wide = MoleculeNoise(0, torch.arange(3)), pad(mask)
        noisy = process.corrupt(pad(clean), T, wide, keyed)
        guess = 0.9 * torch.nn.functional.one_hot(pad(clean), 5) + 0.02
        return [noisy[:, :5][mask], process.step(noisy, guess, T, T / 2, wide, keyed, StepOptions())[:, :5][mask]]

    for short, long in zip(run(lambda x: x), run(lambda x: torch.nn.functional.pad(x, (0, 4))), strict=True):
        torch.testing.assert_close(short, long)


def test_data_module_finds_the_molecules(xyz: Path, root: Path) -> None:
    data = XYZDataModule(xyz, val_fraction=0.1, test_fraction=0.1, batch_size=8)
    assert [len(part) for part in (data.train, data.val, data.test)] == [32, 4, 4]
    assert data.vocabulary.elements == ("H", "C", "N", "O", "F")
    assert sum(len(batch) for batch in data.train_dataloader()) == 32
    originals = [canonical_smiles(mol) for mol in read_molecules(root / "tests" / "fixtures" / "qm9_200.sdf")[:40]]
    found = [canonical_smiles(mol) for mol in read_molecules(xyz)]
    assert sum(a == b for a, b in zip(originals, found, strict=True)) >= 38  # other resonance forms count as others
    assert XYZDataModule(xyz).train.metadata["version"] == 1, "it comes from the cache"


def test_data_module_refuses_a_file_without_molecules(tmp_path: Path) -> None:
    (tmp_path / "far.xyz").write_text("2\n\nC 0 0 0\nC 0 0 9\n")
    with pytest.raises(ValueError, match="1 frames, none with bonds"):
        XYZDataModule(tmp_path / "far.xyz").setup()


def test_examples_train_together(
    xyz: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named in options, as the pages say: two steps, then molecules from the checkpoint."""
    monkeypatch.chdir(tmp_path)
    config = ["--config", str(root / "tests" / "training" / "tiny.yaml"), "--trainer.max_steps", "2"]
    network = ["--model.denoiser", "radial_network.RadialNetwork", "--model.denoiser.width", "16"]
    law = ["--model.processes.atom_types", "simplex_process.SimplexProcess"]
    data = ["--data", "xyz_data.XYZDataModule", "--data.path", str(xyz), "--data.batch_size", "8"]
    main(["fit", *config, *network, *law, *data, "--trainer.callbacks.every_n_train_steps", "2"])
    draw = ["sample", "--model", "checkpoints/last.ckpt", "--num_samples", "2", "--num_steps", "2", "--out", "new.sdf"]
    with pytest.raises(SystemExit):
        main(draw)
    assert "names 'radial_network.RadialNetwork', which is no class of moldiff" in capsys.readouterr().err
    main([*draw, "--trust_classes"])
    assert len(read_molecules("new.sdf")) == 2
