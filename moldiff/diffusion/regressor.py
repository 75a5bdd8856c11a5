"""A trained regressor: it says what properties molecules have, as a judge, or as a guide of steering."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import torch
from jaxtyping import Float
from torch import Tensor

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable
from moldiff.data.yaml_file import read_yaml
from moldiff.diffusion.checkpoint import (
    CONFIG,
    at_most,
    put_weights,
    read_checkpoint,
    read_weights,
    statistics_of,
)
from moldiff.diffusion.class_names import check_classes
from moldiff.models.property_regressor import PropertyRegressor


@dataclass(frozen=True)
class Regressor:
    """A trained network: properties of molecules in their own units."""

    network: PropertyRegressor
    statistics: Statistics  # of the data that the network was trained on
    config: Mapping[str, Any]  # class and arguments of the network, and the statistics; as in config.yaml

    @staticmethod
    def read(path: Path, trust: bool = False) -> Regressor:
        """Read a checkpoint of `moldiff fit-regressor` (its averaged weights, if averaging was on), or a folder.

        Args:
            path: the checkpoint, or a folder with `model.safetensors` and `config.yaml`.
            trust: whether it may name classes from outside of this package, which can run any code.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is none of a regressor, or a foreign class is named without trust.
        """
        config = _read_config(path)
        if not trust:
            check_classes(config["network"], path)
        statistics, weights = statistics_of(config, path), read_weights(path, "network")
        parser = jsonargparse.ArgumentParser(exit_on_error=False)
        parser.add_argument("--network", type=Callable[[Vocabulary], PropertyRegressor])
        try:
            made = parser.instantiate(parser.parse_object({"network": config["network"]}))
            with at_most(2 * sum(weight.numel() for weight in weights.values()) + 100_000):
                network: PropertyRegressor = made.network(statistics.vocabulary)
        except Exception as error:  # whatever a constructor raises on arguments that do not suit it
            raise ValueError(f"the regressor at {path} cannot be built: {error}") from error
        put_weights(weights, network, path)
        return Regressor(network.eval(), statistics, config)

    @torch.inference_mode()
    def __call__(self, batch: MolBatch) -> dict[str, Float[Tensor, " B"]]:
        """Property -> value of each molecule, on the CPU."""
        moments, place = self.statistics.properties, next(self.network.parameters()).device
        columns = zip(self.network.properties, self.network(batch.to(place)).double().cpu().unbind(1), strict=True)
        return {name: column * moments[name].std + moments[name].mean for name, column in columns}

    def of_table(self, table: MoleculeTable, batch_size: int = 256) -> dict[str, Float[Tensor, " M"]]:
        """Property -> value of each molecule of a table, in its order."""
        order = table.sizes.argsort(stable=True)
        parts = [self(table.batch(rows)) for rows in torch.split(order, batch_size)]
        undo = order.argsort()
        return {name: torch.cat([part[name] for part in parts])[undo] for name in self.network.properties}


def _read_config(path: Path) -> dict[str, Any]:
    if path.is_dir():
        config = read_yaml(path / CONFIG) if (path / CONFIG).is_file() else None
    else:
        checkpoint = read_checkpoint(path)
        network = checkpoint["hyper_parameters"].get("network")
        config = {"network": network, "statistics": checkpoint["statistics"]}
    if not isinstance(config, dict) or not all(isinstance(config.get(k), dict) for k in ("network", "statistics")):
        raise ValueError(f"{path} holds no regressor of properties: give a checkpoint of `moldiff fit-regressor`")
    return config
