"""A trained regressor as the judge of molecules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jsonargparse
import torch
from jaxtyping import Float
from torch import Tensor

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable
from moldiff.diffusion.model import read_checkpoint
from moldiff.models.property_regressor import PropertyRegressor


class Judge:
    """A trained regressor: properties of molecules in their own units."""

    def __init__(self, network: PropertyRegressor, statistics: Statistics, device: str = "cpu") -> None:
        """`statistics`: of the data that the network was trained on."""
        self.network, self.statistics, self.device = network.to(device).eval(), statistics, device

    @staticmethod
    def from_checkpoint(path: Path, device: str = "cpu") -> Judge:
        """Read a checkpoint of `moldiff fit-regressor`: its averaged weights, if averaging was on.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is none of a regressor.
        """
        checkpoint = read_checkpoint(path)
        prefix, settings = "network.", checkpoint["hyper_parameters"]
        if "network" not in settings:
            raise ValueError(f"{path} holds no regressor of properties: give a checkpoint of `moldiff fit-regressor`")
        parser = jsonargparse.ArgumentParser(exit_on_error=False)
        parser.add_argument("--network", type=Callable[[Vocabulary], PropertyRegressor])
        try:
            made = parser.instantiate(parser.parse_object({"network": settings["network"]}))
        except (jsonargparse.ArgumentError, TypeError, KeyError) as error:
            raise ValueError(f"the regressor at {path} cannot be built: {error}") from error
        statistics = Statistics.from_dict(checkpoint["statistics"])
        network: PropertyRegressor = made.network(statistics.vocabulary)
        state = checkpoint["state_dict"]
        network.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        return Judge(network, statistics, device)

    @torch.inference_mode()
    def __call__(self, batch: MolBatch) -> dict[str, Float[Tensor, " B"]]:
        """Property -> value of each molecule."""
        moments = self.statistics.properties
        columns = zip(
            self.network.properties, self.network(batch.to(self.device)).double().cpu().unbind(1), strict=True
        )
        return {name: column * moments[name].std + moments[name].mean for name, column in columns}

    def of_table(self, table: MoleculeTable, batch_size: int = 256) -> dict[str, Float[Tensor, " M"]]:
        """Property -> value of each molecule of a table, in its order."""
        order = table.sizes.argsort(stable=True)
        parts = [self(table.batch(rows)) for rows in torch.split(order, batch_size)]
        undo = order.argsort()
        return {name: torch.cat([part[name] for part in parts])[undo] for name in self.network.properties}
