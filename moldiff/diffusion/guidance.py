"""Gradient guidance: clean estimates are moved down the gradient of an energy of the clean molecule.

The gradient is taken with respect to the clean estimate and not through the network, which costs next to nothing:
the backward form of universal guidance (Bansal et al. 2023), manifold-preserving guidance (He et al. 2024), the mean
guidance of TFG (Ye et al. 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.diffusion.process import expand
from moldiff.diffusion.sampler import MoleculeProcess
from moldiff.diffusion.wrapped import WrappedProcess
from moldiff.models.denoiser import Prediction
from moldiff.nn.geometry import centred, mean_position

LARGEST_SHIFT = 2.0  # Å; of an atom in a clean estimate at t = 1
LARGEST_CHANGE = 2.0  # of the logarithm of a class probability at t = 1
REACH, MARGIN = 3.0, 2.0  # how far estimates may reach: so many times as far as noisy molecules, and Å more


@runtime_checkable
class Guide(Protocol):
    """A differentiable energy of molecules: the lower, the better.

    Any function will do. The energy of a molecule must not depend on the others of the batch.
    """

    def __call__(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Energies of B molecules.

        Args:
            estimate: coordinates in Å, in the frame of the pocket if there is one, else in any frame; probabilities of
                the classes, in the order of the model's vocabulary.
            mask: which atoms exist.
        """


class GuidedProcess(WrappedProcess):
    """A process whose clean estimates are moved by guides; a sampler takes it in place of the process.

    With the energy E, the sum of those of the guides, an atom moves by -dE/dx and a class probability p becomes
    proportional to p exp(-dE/dp). What a single estimate may change is bounded by what is not yet known of the
    molecule, that is by sigma / sqrt(alpha^2 + sigma^2) times `LARGEST_SHIFT` and `LARGEST_CHANGE`: most at t = 1,
    nothing near the data, where the network has the last word. Gradients that are not finite count as zero. What a
    guide makes of a molecule may be unlike all that the network was trained on: estimates that reach much farther than
    the noisy molecule are drawn in, or the next might reach farther still.
    """

    def __init__(
        self,
        process: MoleculeProcess,
        guides: Sequence[Guide],
        centre: Float[Tensor, "3"] | None = None,
        num_fixed: int = 0,
    ) -> None:
        """What is guided.

        Args:
            process: what is wrapped.
            guides: energies, which are added.
            centre: origin of the process's frame in that of the pocket, Å; None: no pocket, molecules stay centred.
            num_fixed: the first so many atoms of each molecule do not move.
        """
        super().__init__(process)
        self.guides, self.centre, self.num_fixed = tuple(guides), centre, num_fixed

    def estimate(self, noisy: MolBatch, output: Prediction, t: Float[Tensor, " B"]) -> Prediction:
        """The clean estimate, moved by the guides."""
        estimate = _within_reach(self.process.estimate(noisy, output, t), noisy, self.num_fixed)
        unknown = (1 + self.process.signal(t).square()).rsqrt()
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(noisy.pos.device.type, enabled=False):
            values = {name: value.clone().float() for name, value in estimate.present().items()}
            moved = self._moved(values, noisy.mask.clone(), unknown.clone())
        return replace(estimate, **{name: value.to(getattr(estimate, name)) for name, value in moved.items()})

    def _moved(
        self, values: dict[str, Tensor], mask: Bool[Tensor, "B N"], unknown: Float[Tensor, " B"]
    ) -> dict[str, Tensor]:
        """Coordinates and classes after the move."""
        totals = {name: value.clamp(min=0).sum(-1, keepdim=True) for name, value in values.items() if name != "pos"}
        shares = {name: values[name].clamp(min=0) / total.clamp(min=1e-12) for name, total in totals.items()}
        inputs = {"pos": values["pos"], **shares}
        for value in inputs.values():
            value.requires_grad_()
        place = 0.0 if self.centre is None else self.centre.to(values["pos"]).clone()
        seen = Prediction(**{**inputs, "pos": inputs["pos"] + place})
        energy = torch.stack([guide(seen, mask) for guide in self.guides]).sum()
        if not energy.requires_grad:
            raise ValueError("the energy of the guides does not depend on the molecule: compute it with torch from it")
        gradients = torch.autograd.grad(energy, list(inputs.values()), allow_unused=True, materialize_grads=True)
        slope = {name: g.nan_to_num(0, 0, 0) for name, g in zip(inputs, gradients, strict=True)}
        moved = {"pos": values["pos"].detach() - self._shift(slope.pop("pos"), mask, unknown)}
        for name, g in slope.items():
            limit = LARGEST_CHANGE * expand(unknown, g)
            p = shares[name].detach()
            new = p * torch.exp(-torch.maximum(torch.minimum(g - (p * g).sum(-1, keepdim=True), limit), -limit))
            new = new / new.sum(-1, keepdim=True).clamp(min=1e-12)
            moved[name] = values[name] + (new - p) * totals[name]
        return moved

    def _shift(
        self, slope: Float[Tensor, "B N 3"], mask: Bool[Tensor, "B N"], unknown: Float[Tensor, " B"]
    ) -> Float[Tensor, "B N 3"]:
        """Bounded, zero for fixed and padded atoms, and without a net movement if there is no pocket."""
        slope = slope * mask[..., None]
        slope[:, : self.num_fixed] = 0
        limit = LARGEST_SHIFT * expand(unknown, slope)
        shift = slope * (limit / slope.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
        return shift if self.centre is not None or self.num_fixed else centred(shift, mask)


def _within_reach(estimate: Prediction, noisy: MolBatch, num_fixed: int) -> Prediction:
    """The estimate; one that reaches too far is shrunk about its mean, or that of fixed atoms, which stay."""
    mask = noisy.mask.clone()
    mask[:, num_fixed or mask.shape[1] :] = False
    middle = mean_position(estimate.pos, mask)
    away = (estimate.pos - middle) * noisy.mask[..., None]
    allowed = REACH * (centred(noisy.pos, noisy.mask).norm(dim=-1).amax(1) + MARGIN)
    factor = (allowed / away.norm(dim=-1).amax(1).clamp(min=1e-6))[:, None, None]
    moves = (factor < 1) & noisy.mask[..., None]
    moves[:, :num_fixed] = False
    return replace(estimate, pos=torch.where(moves, middle + away * factor, estimate.pos))
