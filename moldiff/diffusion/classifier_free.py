"""Classifier-free guidance: away from what the network says without the conditions."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.models.denoiser import Context, Denoiser, EncodedProperties, Prediction
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
        conditions = self._with_and_without(self.prepare(context or Context()), twice)
        both = self.network(noisy.take(twice), t[twice], conditions)
        outputs = {}
        for name, value in both.present().items():
            given, free = value.chunk(2)
            outputs[name] = free + self.scale * (given - free)
        return Prediction(**outputs)

    def _with_and_without(self, context: Context, twice: Int[Tensor, " T"]) -> Context:
        """The context of B molecules, and then of the same without properties and pocket (T = 2B)."""
        count = len(twice) // 2
        properties, pocket = context.properties, context.pocket
        free = self.prepare(Context()).properties
        if isinstance(properties, EncodedProperties) and isinstance(free, EncodedProperties):
            both = [x.vectors.expand(count, -1, -1) for x in (properties, free)]
            properties = EncodedProperties(torch.cat(both))
        if isinstance(pocket, EncodedPocket):
            pocket = pocket.take(twice if len(pocket.mask) > 1 else torch.zeros_like(twice))
            there = torch.arange(len(twice), device=twice.device) < count
            pocket = replace(pocket, mask=pocket.mask & there[:, None])
        return Context(None if context.previous is None else context.previous.take(twice), pocket, properties)
