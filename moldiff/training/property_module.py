"""Training of the network that judges properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from jaxtyping import Float
from torch import Tensor

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion.properties import known_to, normalised
from moldiff.models.property_regressor import PropertyRegressor
from moldiff.training.schedule import keep_as_config, optimizers, save_at_the_end


class PropertyModule(pl.LightningModule):
    """Trains a regressor of several properties at once on the mean absolute error, each in its standard deviations."""

    network: PropertyRegressor

    def __init__(
        self,
        network: Callable[[Vocabulary], PropertyRegressor],
        lr: float = 2e-3,
        weight_decay: float = 0.0,
        warmup_steps: int = 200,
        decay_fraction: float = 0.0,
    ) -> None:
        """Settings of a training run.

        Args:
            network: class of the network with its arguments, except the vocabulary.
            lr: learning rate of Muon; AdamW takes half of it.
            weight_decay: decoupled weight decay.
            warmup_steps: steps of linear warm-up.
            decay_fraction: last share of the planned steps, in which the rate falls linearly to zero; 0: constant.
        """
        super().__init__()
        self.save_hyperparameters()
        keep_as_config(self, "network")
        self.make_network = network
        self.rates = (lr, weight_decay, warmup_steps, decay_fraction)
        self.statistics: Statistics | None = None

    def build(self, statistics: Statistics) -> None:
        """Make the network, if there is none."""
        if self.statistics is None:
            self.network = self.make_network(statistics.vocabulary)
        self.statistics = known_to(self.network.properties, statistics)

    def configure_model(self) -> None:
        """Lightning's hook: build for the data of the run."""
        if self._trainer is not None and self.statistics is None:
            self.build(self.trainer.datamodule.statistics)  # type: ignore[attr-defined]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the statistics with the weights."""
        assert self.statistics is not None
        checkpoint["statistics"] = self.statistics.to_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build for the statistics of the checkpoint."""
        self.build(Statistics.from_dict(checkpoint["statistics"]))

    def training_step(self, batch: MolBatch, batch_idx: int) -> Tensor:
        """One step on one batch."""
        loss: Tensor = self._errors(batch).nanmean()
        self.log("train/loss", loss, batch_size=len(batch))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: MolBatch, batch_idx: int) -> None:
        """See `save_at_the_end`."""
        save_at_the_end(self.trainer)

    def validation_step(self, batch: MolBatch, batch_idx: int) -> None:
        """Mean absolute error of each property, in its own unit."""
        self._log_errors("val", batch)

    def test_step(self, batch: MolBatch, batch_idx: int) -> None:
        """The same on the test split."""
        self._log_errors("test", batch)

    def configure_optimizers(self) -> Any:
        """See `optimizers`."""
        return optimizers(self.trainer, self.network.named_parameters(), *self.rates)

    def _errors(self, batch: MolBatch) -> Float[Tensor, "B C"]:
        """Absolute errors in standard deviations; NaN where a property is not known."""
        assert self.statistics is not None
        errors: Tensor = self.network(batch) - normalised(batch, self.network.properties, self.statistics)
        return errors.abs()

    def _log_errors(self, split: str, batch: MolBatch) -> None:
        assert self.statistics is not None
        errors = self._errors(batch)
        self.log(f"{split}/loss", errors.nanmean(), batch_size=len(batch), prog_bar=True)
        for name, column in zip(self.network.properties, errors.unbind(1), strict=True):
            known = column[column.isfinite()]
            if len(known):
                std = self.statistics.properties[name].std
                self.log(f"{split}/{name}", known.mean() * std, batch_size=len(known))
