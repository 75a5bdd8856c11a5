"""Properties that molecules are asked to have: in units of the network, hidden in training, given in sampling."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion.noise import Noise

_logger = logging.getLogger(__name__)


def known_to(names: Sequence[str], statistics: Statistics) -> Statistics:
    """Statistics with the properties of a network only.

    Raises:
        ValueError: if the data lack one of them.
    """
    missing = [name for name in names if name not in statistics.properties]
    if missing:
        has = ", ".join(statistics.properties) or "none"
        raise ValueError(
            f"the network reads the properties {', '.join(names)}: got data without {', '.join(missing)} (they have "
            f"{has}); give data that have them, or name other properties"
        )
    return replace(statistics, properties={name: statistics.properties[name] for name in names})


def normalised(batch: MolBatch, names: Sequence[str], statistics: Statistics) -> Float[Tensor, "B C"]:
    """Properties of molecules as deviations from the mean in standard deviations; NaN where one is not known."""
    unknown = torch.full_like(batch.pos[:, 0, 0], torch.nan)
    columns = []
    for name in names:
        moments, values = statistics.properties[name], batch.properties.get(name, unknown)
        columns.append((values.to(unknown) - moments.mean) / moments.std)
    return torch.stack(columns, 1)


def hidden(values: Float[Tensor, "B C"], noise: Noise, dropout: float) -> Float[Tensor, "B C"]:
    """Values of which some are taken away: all of a share `dropout` of the molecules, all but one of half the rest.

    The others keep a random number of them, at least one. So one network learns every combination, and none.
    """
    count = values.shape[1]
    share, number = noise.uniform(values[:, 0]), noise.uniform(values[:, 0])
    some = torch.where(share < (1 + dropout) / 2, 1, 1 + (number * count).long().clamp(max=count - 1))
    kept = torch.where(share < dropout, 0, some)
    place = noise.uniform(values).argsort(1).argsort(1)
    return values.masked_fill(place >= kept[:, None], torch.nan)


Asked = Mapping[str, float | Sequence[float]]
"""Property -> the value that all molecules shall have, or one for each, in the unit of the data."""


def targets(asked: Asked, names: Sequence[str], statistics: Statistics, count: int) -> Float[Tensor, "A C"]:
    """What a network is told: deviations from the mean in standard deviations, of all molecules (A = 1) or of each.

    Values outside the range of the training data are warned of.

    Args:
        asked: values by name.
        names: of the properties that the network reads.
        statistics: of its training data.
        count: number of molecules.

    Raises:
        ValueError: if the network does not read a property, or a value is no number, or there is not one for each.
    """
    known = ", ".join(f"{name} ({statistics.properties[name].unit})" for name in names)
    if not names:
        raise ValueError(
            f"the model was not trained with properties: got {', '.join(asked)}; use one that was, "
            "such as qm9_conditional (your own: configs/qm9_conditional.yaml)"
        )
    columns = [torch.full((1,), torch.nan)] * len(names)
    for name, value in asked.items():
        if name not in names:
            raise ValueError(f"the model does not know the property {name!r}: expected some of {known}")
        values = torch.as_tensor(value, dtype=torch.float64).flatten()
        if len(values) not in (1, count) or not values.isfinite().all():
            raise ValueError(f"{name} must be a finite number, or one for each of {count} molecules: got {value}")
        _warn_if_outside(name, values, statistics)
        moments = statistics.properties[name]
        columns[names.index(name)] = ((values - moments.mean) / moments.std).float()
    rows = max(len(column) for column in columns)
    return torch.stack([column.expand(rows) for column in columns], 1)


def _warn_if_outside(name: str, values: Float[Tensor, " A"], statistics: Statistics) -> None:
    moments = statistics.properties[name]
    outside = values[(values < moments.min) | (values > moments.max)]
    if len(outside):
        _logger.warning(
            "%s = %g %s is outside the range of the training data, %.4g to %.4g: molecules will hardly have it",
            name,
            outside[0],
            moments.unit,
            moments.min,
            moments.max,
        )


def target_of(asked: Asked, molecule: int) -> dict[str, float]:
    """What one molecule is asked to be; without a look at the values of the others, which may be millions."""

    def own(value: float | Sequence[float]) -> float:
        values = value if isinstance(value, list | tuple) else torch.as_tensor(value).flatten()
        return float(values[min(molecule, len(values) - 1)])  # one for all, or one for each

    return {name: own(value) for name, value in asked.items()}


def nearness(
    values: Mapping[str, Float[Tensor, " P"]], asked: Mapping[str, Float[Tensor, " P"]], statistics: Statistics
) -> Float[Tensor, " P"]:
    """How near molecules come to what they are asked for: 0 at best, less by each deviation in standard deviations."""
    deviations = [(values[name] - wanted).abs() / statistics.properties[name].std for name, wanted in asked.items()]
    return -torch.stack(deviations).sum(0)


def sizes_of(target: Mapping[str, float], statistics: Statistics) -> dict[int, float]:
    """Number of atoms -> its weight among molecules with about these values, of the sizes in the training data.

    Properties are taken to be independent among molecules of one size.
    """
    weights: dict[int, float] = dict(statistics.sizes)
    for name, value in target.items():
        moments = statistics.properties[name]
        near = moments.sizes_near(value)
        weights = {n: w * near[n] / sum(moments.counts[n]) for n, w in weights.items() if n in near}
    return weights or dict(statistics.sizes)
