"""Classifier-free guidance: away from what the network says without the conditions."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.models.denoiser import Context, Denoiser, Prediction
from moldiff.models.pocket_encoder import EncodedPocket


class GuidedDenoiser(Denoiser):
    """Asks a network with and without the conditions, in one batch, and extrapolates (Ho & Salimans 2022).

    With scale w the output is `without + w * (with - without)`, of coordinates and of logits: w = 0 is the network
    without the conditions, w = 1 the network with them. Properties and pocket are left out together; the earlier
    estimate, that of the guided molecule, is shown to both.
    """

    def __init__(self, network: Denoiser, scale: float) -> None:
        """`network`: one that has been trained with and without its conditions."""
        super().__init__()
        self.network, self.scale = network, scale
        self.self_conditioning, self.bears_bfloat16 = network.self_conditioning, network.bears_bfloat16
        self.properties = network.properties

    def prepare(self, context: Context) -> Context:
        """See `Denoiser.prepare`."""
        return self.network.prepare(context)

    def forward(self, noisy: MolBatch, t: Float[Tensor, " B"], context: Context | None = None) -> Prediction:
        """See `Denoiser.forward`."""
        twice = torch.arange(len(noisy), device=t.device).repeat(2)
        both = self.network(noisy.take(twice), t[twice], _with_and_without(self.prepare(context or Context()), twice))
        outputs = {}
        for name, value in both.present().items():
            given, free = value.chunk(2)
            outputs[name] = free + self.scale * (given - free)
        return Prediction(**outputs)


def _with_and_without(context: Context, twice: Tensor) -> Context:
    """The context of B molecules, and then of the same without properties and pocket."""
    free = len(twice) // 2
    properties, pocket = context.properties, context.pocket
    if properties is not None:
        properties = properties.expand(free, -1)
        properties = torch.cat([properties, torch.full_like(properties, torch.nan)])
    if isinstance(pocket, EncodedPocket):
        pocket = pocket.take(twice if len(pocket.mask) > 1 else torch.zeros_like(twice))
        there = torch.arange(len(twice), device=twice.device) < free
        pocket = replace(pocket, mask=pocket.mask & there[:, None])
    previous = None if context.previous is None else context.previous.take(twice)
    return Context(previous, pocket, properties)
