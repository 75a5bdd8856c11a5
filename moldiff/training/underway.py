"""Molecules underway from noise, with which a student is taught at each of its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import PocketBatch
from moldiff.models.denoiser import Prediction


@dataclass(frozen=True)
class Underway:
    """A batch of molecules that a student draws, and how far it has come."""

    batch: MolBatch  # noisy molecules
    stage: int  # how many steps are done
    previous: Prediction | None = None  # the estimate of the step before
    pocket: PocketBatch | None = None  # around them
    properties: Float[Tensor, "B C"] | None = None  # that the student is shown

    def to(self, device: torch.device | str) -> Underway:
        """The same on another device."""
        return Underway.from_dict(_each(self.to_dict(), device))

    def to_dict(self) -> dict[str, Any]:
        """Plain tensors and numbers, for a checkpoint."""
        return {
            "batch": replace(self.batch, properties={}, index=None).__dict__,
            "stage": self.stage,
            "previous": None if self.previous is None else self.previous.present(),
            "pocket": None if self.pocket is None else self.pocket.__dict__,
            "properties": self.properties,
        }

    @classmethod
    def from_dict(cls, known: dict[str, Any]) -> Underway:
        """What `to_dict` gave."""
        previous, pocket = known["previous"], known["pocket"]
        return cls(
            batch=MolBatch(**known["batch"]),
            stage=known["stage"],
            previous=None if previous is None else Prediction(**previous),
            pocket=None if pocket is None else PocketBatch(**pocket),
            properties=known["properties"],
        )


def _each(known: Any, device: torch.device | str) -> Any:
    if isinstance(known, dict):
        return {name: _each(value, device) for name, value in known.items()}
    return known.to(device) if isinstance(known, Tensor) else known
