"""Molecules as points with a few real features each, and back: what latent diffusion denoises in place of molecules."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import PocketBatch
from moldiff.models.denoiser import Context, Denoiser, Prediction
from moldiff.nn.geometry import centred
from moldiff.nn.rms_norm import rms_norm


class Autoencoder(nn.Module):
    """Two denoisers back to back, called at t = 0: one reads molecules, the other makes them (Xu 2023, GeoLDM).

    The latent of a molecule is a `MolBatch`, too: `pos` are points near its atoms, `atom_types` real features, as many
    as the vocabulary has elements and with a mean square of 1 on each atom, and there is nothing else. So any denoiser
    and any real-valued process fit it. Elements, charges and bonds are told from the features and the distances. As
    encoder and decoder are equivariant, so is the whole.
    """

    encoder_age: Tensor

    def __init__(
        self,
        vocabulary: Vocabulary,
        encoder: Callable[[Vocabulary], Denoiser],
        decoder: Callable[[Vocabulary], Denoiser],
        encoder_steps: int = 500,
        reach: float = 0.5,
        position_noise: float = 0.03,
        feature_noise: float = 0.2,
    ) -> None:
        """The parts, and what keeps the latent simple: it is bounded, noisy, and fixed early (GeoLDM, section 3.2).

        Args:
            vocabulary: the classes that it knows.
            encoder: class of the network with its arguments, except the vocabulary; as of the decoder, its coordinates
                are read as clean ones (parameterisation `x0`).
            decoder: likewise.
            encoder_steps: training steps after which the encoder stays as it is; the decoder goes on.
            reach: no point is farther from its atom, Å, before they are centred.
            position_noise: standard deviation of the noise on the points while the decoder is trained, Å.
            feature_noise: that of the features.

        Raises:
            ValueError: if a number is out of range.
        """
        super().__init__()
        if encoder_steps < 0 or reach <= 0 or position_noise <= 0 or feature_noise < 0:
            raise ValueError(
                "need encoder_steps >= 0, reach > 0, position_noise > 0 and feature_noise >= 0: got "
                f"{encoder_steps}, {reach}, {position_noise} and {feature_noise}; change them"
            )
        self.encoder, self.decoder = encoder(vocabulary), decoder(vocabulary)
        self.widths = {"charges": len(vocabulary.charges), "bond_types": len(vocabulary.bond_orders)}
        self.encoder_steps, self.reach = encoder_steps, reach
        self.position_noise, self.feature_noise = position_noise, feature_noise
        self.register_buffer("encoder_age", torch.zeros(()))  # steps that the encoder has learned, in checkpoints, too

    def encode(self, clean: MolBatch) -> MolBatch:
        """Centred molecules to their latents."""
        out = self.encoder(clean, _beginning(clean))
        assert out.atom_types is not None
        pos = centred(clean.pos, clean.mask)
        shift = out.pos - pos
        shift = shift * torch.rsqrt(1 + shift.square().sum(-1, keepdim=True) / self.reach**2)
        features = rms_norm(out.atom_types) * clean.mask[..., None]
        return MolBatch(centred(pos + shift, clean.mask), features, None, None, clean.mask)

    def decode(self, latent: MolBatch) -> Prediction:
        """Latents to coordinates, Å, and logits of all classes."""
        pairs = latent.pair_mask.shape[1]
        blank = {
            name: latent.pos.new_zeros(len(latent), pairs if name == "bond_types" else latent.mask.shape[1], width)
            for name, width in self.widths.items()
        }
        out: Prediction = self.decoder(latent.replace(**blank), _beginning(latent))
        return out


class LatentDenoiser(Denoiser):
    """A denoiser of the latents of molecules, kept together with the autoencoder that makes them."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        autoencoder: Callable[[Vocabulary], Autoencoder],
        denoiser: Callable[[Vocabulary], Denoiser],
    ) -> None:
        """Both as classes with their arguments, except the vocabulary."""
        super().__init__()
        self.autoencoder, self.denoiser = autoencoder(vocabulary), denoiser(vocabulary)
        inner, coders = self.denoiser, (self.autoencoder.encoder, self.autoencoder.decoder)
        self.self_conditioning, self.properties = inner.self_conditioning, inner.properties
        self.optional = tuple(f"denoiser.{name}" for name in inner.optional)
        self.bears_bfloat16 = all(network.bears_bfloat16 for network in (inner, *coders))

    @property
    def blocks(self) -> nn.ModuleList:  # type: ignore[override]
        """The hidden layers of the denoiser."""
        return self.denoiser.blocks

    def prepare(self, context: Context) -> Context:
        """See `Denoiser.prepare`."""
        if isinstance(context.pocket, PocketBatch):
            return super().prepare(context)
        return self.denoiser.prepare(context)

    def forward(self, noisy: MolBatch, t: Float[Tensor, " B"], context: Context | None = None) -> Prediction:
        """See `Denoiser.forward`; of noisy latents."""
        out: Prediction = self.denoiser(noisy, t, context)
        return out


def _beginning(batch: MolBatch) -> Float[Tensor, " B"]:
    return batch.pos.new_zeros(len(batch))
