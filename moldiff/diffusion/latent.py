"""Diffusion in the latent space of an autoencoder (Xu 2023, GeoLDM)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion.bounded import BoundedProcess
from moldiff.diffusion.gaussian import GaussianProcess
from moldiff.diffusion.joint import JointProcess
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import Process, masked_mean
from moldiff.diffusion.wrapped import WrappedProcess
from moldiff.models.autoencoder import Autoencoder, LatentDenoiser
from moldiff.models.denoiser import FIELDS, Denoiser, Prediction


class LatentProcess(WrappedProcess):
    """The verbs of a `JointProcess` on molecules whose latents are noised by one.

    Molecules are encoded before the noise and decoded after it; noisy batches and clean estimates are of latents. The
    diffusion does not train the encoder, whose weights belong to the `LatentDenoiser`.
    """

    def __init__(self, process: JointProcess, autoencoder: Autoencoder) -> None:
        """`process`: of points and features, under the names `pos` and `atom_types`."""
        super().__init__(process)
        got = {name: type(p).__name__ for name, p in process.processes.items()}
        if got != dict.fromkeys(("pos", "atom_types"), GaussianProcess.__name__):
            raise ValueError(
                "a latent has points and real features: expected a GaussianProcess each for pos and atom_types, got "
                f"{got}; change the processes"
            )
        features = process.processes["atom_types"]
        if features.centre or features.align_noise:
            raise ValueError(
                "the features of a latent are no places in space: expected centre = false and align_noise = false for "
                f"atom_types, got {features.centre} and {features.align_noise}"
            )
        self.joint, self.autoencoder = process, autoencoder

    @property
    def processes(self) -> nn.ModuleDict:
        """Those of the latent's fields."""
        return self.joint.processes

    def to(self, device: torch.device | str) -> LatentProcess:
        """Itself, on another device; the autoencoder is where the denoiser is."""
        self.joint.to(device)
        return self

    def corrupt(self, clean: MolBatch, t: Float[Tensor, " B"], noise: Noise) -> MolBatch:
        """Latents at time t of molecules whose coordinates are centred."""
        return self.joint.corrupt(self._latent(clean), t, noise)

    def decode(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> MolBatch:
        """The molecules that clean latents stand for."""
        out = self.autoencoder.decode(MolBatch(estimate.pos, estimate.atom_types, None, None, mask))
        classes = {name: value.argmax(-1) for name, value in out.present().items() if name != "pos"}
        return MolBatch(out.pos, None, None, None, mask).replace(**classes)

    def encode(self, clean: MolBatch) -> Prediction:
        """The clean latent of molecules whose coordinates are centred; `decode` undoes it, as far as was learned."""
        return self.joint.encode(self._latent(clean))

    def loss(
        self, output: Prediction, clean: MolBatch, noisy: MolBatch, t: Float[Tensor, " B"]
    ) -> dict[str, Float[Tensor, " B"]]:
        """Weighted loss of the latent's fields for each molecule."""
        return self.joint.loss(output, self._latent(clean), noisy, t)

    def coding_loss(self, clean: MolBatch, noise: Noise) -> dict[str, Float[Tensor, " B"]]:
        """What is lost on the way through a noisy latent; trains the decoder, and at first the encoder.

        A tenth of the squared errors of the coordinates, in units of the noise (with more, classes are learned late),
        and cross-entropies of the classes, averaged over the entries of each molecule.
        """
        model = self.autoencoder
        learning = model.training and torch.is_grad_enabled() and float(model.encoder_age) < model.encoder_steps
        with torch.set_grad_enabled(learning):
            latent = model.encode(_whole(clean))
        if learning:
            model.encoder_age += 1
        assert latent.atom_types is not None
        drawn = latent.replace(
            pos=latent.pos + model.position_noise * noise.normal(latent.pos),
            atom_types=latent.atom_types + model.feature_noise * noise.normal(latent.atom_types),
        )
        out = model.decode(drawn)
        error = 0.1 * (out.pos - clean.pos).square().mean(-1) / model.position_noise**2
        losses = {"decoded_pos": masked_mean(error, clean.mask)}
        for name in FIELDS[1:]:
            logits: Tensor = getattr(out, name)
            wrong = F.cross_entropy(logits.transpose(1, 2), getattr(clean, name), reduction="none")
            losses[f"decoded_{name}"] = masked_mean(wrong, clean.mask_of(name))
        return losses

    def fields(self, clean: MolBatch) -> dict[str, Tensor]:
        """The fields of the latents of molecules whose coordinates are centred."""
        return self.joint.fields(self._latent(clean))

    def baselines(self) -> dict[str, float]:
        """See `JointProcess.baselines`."""
        return self.joint.baselines()

    def bounded(self) -> dict[str, BoundedProcess]:
        """There are none.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "a latent model has no bound of the likelihood of molecules: leave it out (--likelihood.num_times 0)"
        )

    @torch.no_grad()
    def _latent(self, clean: MolBatch) -> MolBatch:
        return self.autoencoder.encode(_whole(clean))


def process_of(
    denoiser: Denoiser, processes: Mapping[str, Process], statistics: Statistics
) -> JointProcess | LatentProcess:
    """The noise law of molecules, or of their latents if that is what the network denoises."""
    process = JointProcess(processes, statistics)
    return LatentProcess(process, denoiser.autoencoder) if isinstance(denoiser, LatentDenoiser) else process


def _whole(clean: MolBatch) -> MolBatch:
    missing = [name for name in FIELDS if getattr(clean, name) is None]
    if missing:
        raise ValueError(f"the data have no {', '.join(missing)}, which the autoencoder reads: give data with them")
    return clean
