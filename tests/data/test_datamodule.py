import copy

import pytest
import pytorch_lightning as pl
import torch

from moldiff.data.batch import MolBatch
from moldiff.data.sdf_datamodule import SDFDataModule


@pytest.fixture
def data(qm9_sdf):
    return SDFDataModule(qm9_sdf, batch_size=16, seed=1)


def positions(batches):
    return [batch.pos for batch in batches]


def assert_equal(first, second):
    assert len(first) == len(second)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_loaders_give_batches(data):
    for loader, part in ((data.train_dataloader(), data.train), (data.val_dataloader(), data.val)):
        batches = list(loader)
        assert all(isinstance(batch, MolBatch) for batch in batches)
        assert len(batches) == len(loader)
        assert sum(len(batch) for batch in batches) == len(part)


def test_workers_give_the_same_batches(data, qm9_sdf):
    with_worker = SDFDataModule(qm9_sdf, batch_size=16, seed=1, num_workers=1)
    assert_equal(positions(data.train_dataloader()), positions(with_worker.train_dataloader()))


def test_limit(qm9_sdf):
    data = SDFDataModule(qm9_sdf, limit=5)
    assert [len(part) for part in (data.train, data.val, data.test)] == [5, 5, 5]
    whole = SDFDataModule(qm9_sdf)
    assert data.train.index.tolist() == whole.train.index[:5].tolist()
    with pytest.raises(ValueError, match="limit=0"):
        SDFDataModule(qm9_sdf, limit=0)


def test_empty_validation_and_test_split(qm9_sdf):
    data = SDFDataModule(qm9_sdf, val_fraction=0.0, test_fraction=0.0)
    assert data.val_dataloader() == data.test_dataloader() == []


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("done", [0, 3, 10])
def test_loader_goes_on_where_it_was(data, epoch, done):
    loader = data.train_dataloader()
    loader.batch_sampler.set_epoch(epoch)
    iterator = iter(loader)
    for _ in range(done):
        next(iterator)
    state = copy.deepcopy(loader.state_dict())
    rest = positions(iterator)
    again = data.train_dataloader()
    again.load_state_dict(state)
    if done == len(loader):  # the epoch was over
        loader.batch_sampler.set_epoch(epoch + 1)
        rest = positions(loader)
    assert_equal(positions(again), rest)
    again.batch_sampler.set_epoch(7)
    assert len(positions(again)) == len(loader)


class Recorder(pl.LightningModule):
    """Keeps the batches it sees, and a checkpoint after `save_at` steps."""

    def __init__(self, path, save_at):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.path, self.save_at, self.seen = path, save_at, []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch.pos)
        return self.weight.sum()

    def on_train_batch_end(self, outputs, batch, batch_idx):
        if self.trainer.global_step == self.save_at:
            self.trainer.save_checkpoint(self.path)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("save_at", [4, 10, 13])
def test_lightning_resumes_with_the_same_batches(qm9_sdf, tmp_path, save_at):
    def fit(checkpoint=None):
        data = SDFDataModule(qm9_sdf, batch_size=16, val_fraction=0.0)
        trainer = pl.Trainer(
            max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        module = Recorder(tmp_path / "c.ckpt", 0 if checkpoint else save_at)
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=False)
        return module.seen

    whole = fit()
    assert_equal(fit(tmp_path / "c.ckpt"), whole[save_at:])
