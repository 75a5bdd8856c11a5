"""Training of the network that judges properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion.properties import known_to, normalised
from moldiff.models.property_regressor import PropertyRegressor
from moldiff.training.bad_batches import BadBatches, OnBadBatch, fault_of_data, fault_of_losses
from moldiff.training.guarded_module import GuardedModule
from moldiff.training.schedule import keep_as_config, optimizers, warn_if_done


class PropertyModule(GuardedModule):
    """Trains a regressor of several properties at once on the mean absolute error, each in its standard deviations."""

    network: PropertyRegressor

    def __init__(
        self,
        network: Callable[[Vocabulary], PropertyRegressor],
        lr: float = 2e-3,
        weight_decay: float = 0.0,
        warmup_steps: int = 200,
        decay_fraction: float = 0.0,
        on_bad_batch: OnBadBatch = "stop",
    ) -> None:
        """Settings of a training run.

        Args:
            network: class of the network with its arguments, except the vocabulary.
            lr: learning rate of Muon; AdamW takes half of it.
            weight_decay: decoupled weight decay.
            warmup_steps: steps of linear warm-up.
            decay_fraction: last share of the planned steps, in which the rate falls linearly to zero; 0: constant.
            on_bad_batch: what is done if coordinates, errors or gradients of a batch are no finite numbers: "stop" with
                an error that names the molecules, or "skip" the batch with a warning that does.
        """
        super().__init__()
        self.save_hyperparameters()
        keep_as_config(self, "network")
        self.make_network = network
        self.rates = (lr, weight_decay, warmup_steps, decay_fraction)
        self.bad_batches = BadBatches(on_bad_batch)
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
        warn_if_done(self._trainer, checkpoint)
        self.build(Statistics.from_dict(checkpoint["statistics"]))

    def training_step(self, batch: MolBatch, batch_idx: int) -> Tensor:
        """One step on one batch."""
        assert self.statistics is not None
        if fault := fault_of_data(batch, self.statistics.vocabulary):
            return self.without(fault)
        errors = self._errors(batch)
        loss: Tensor = errors.nanmean()
        known = errors.masked_fill(normalised(batch, self.network.properties, self.statistics).isnan(), 0)
        if not (known.isfinite().all() and loss.isfinite()):
            columns = dict(zip(self.network.properties, known.unbind(1), strict=True))
            return self.without(fault_of_losses(columns, batch, self.statistics.vocabulary))
        self.log("train/loss", loss, batch_size=len(batch))
        return loss

    def weights(self) -> list[tuple[str, nn.Parameter]]:
        """See `GuardedModule`."""
        return list(self.network.named_parameters())

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
        errors, shared = self._errors(batch), self.trainer.world_size > 1
        self.log(f"{split}/loss", errors.nanmean(), batch_size=len(batch), prog_bar=True, sync_dist=shared)
        for name, column in zip(self.network.properties, errors.unbind(1), strict=True):
            known = column[column.isfinite()]
            if len(known) or shared:  # all processes must log the same names
                mean = known.sum() / max(len(known), 1) * self.statistics.properties[name].std
                self.log(f"{split}/{name}", mean, batch_size=len(known), sync_dist=shared)
