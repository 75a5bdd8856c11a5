"""Properties that molecules are asked to have: in units of the network, hidden in training, given in sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion.noise import Noise


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
