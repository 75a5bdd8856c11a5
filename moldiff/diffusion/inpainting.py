"""Sampling around fixed atoms: replacement in the clean estimate."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moldiff.data.batch import MolBatch, pair_indices
from moldiff.diffusion.alignment import Motion
from moldiff.diffusion.fixed import FixedAtoms
from moldiff.diffusion.joint import JointProcess
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.placement import PlacedProcess
from moldiff.diffusion.process import StepOptions
from moldiff.diffusion.wrapped import WrappedProcess
from moldiff.models.denoiser import FIELDS, Prediction
from moldiff.nn.geometry import centred, mean_position

_BEYOND = 1.0  # how far new atoms lie from the middle of the open ends, in distances of that from the fragment's middle


class FixedProcess(WrappedProcess):
    """A joint process in whose clean estimates some atoms are as given; a sampler takes it in place of the process.

    In each clean estimate the fragment, superposed on where the network sees it, replaces the fixed atoms, and bonds
    that they may not have are ruled out; steps, self-conditioning and results follow. Without a pocket the fragment is
    turned and moved to the molecule. In a pocket the molecule is moved to the fragment, which keeps its place: noisy
    molecules are not centred there, their mean is that of the estimate.
    """

    def __init__(self, process: JointProcess, fixed: FixedAtoms, in_place: bool) -> None:
        """`in_place`: whether the frame of the fixed atoms is that of a pocket."""
        super().__init__(process)
        self.placed, self.fixed, self.in_place = PlacedProcess(process), fixed, in_place
        self.known = process.encode(fixed.atoms)

    def prior(self, mask: Bool[Tensor, "B N"], noise: Noise) -> MolBatch:
        """Molecules at t = 1, the noise aligned, as in training, to where the atoms might be."""
        return self.corrupt(self._guess(mask), torch.ones(len(mask), device=mask.device), noise)

    def corrupt(self, clean: MolBatch, t: Float[Tensor, " B"], noise: Noise) -> MolBatch:
        """Molecules at time t, with the mean of the clean ones."""
        return self._with_known_tokens(self.placed.corrupt(clean, t, noise))

    def estimate(self, noisy: MolBatch, output: Prediction, t: Float[Tensor, " B"]) -> Prediction:
        """The clean estimate with the fixed atoms as given."""
        start, n = noisy.replace(pos=centred(noisy.pos, noisy.mask)), len(self.fixed)  # as the network answers
        estimate = self.process.estimate(start, output, t)
        given = self.fixed.atoms.pos.expand(len(noisy), -1, -1)
        if self.in_place:
            pos = torch.cat([given, Motion.onto(estimate.pos[:, :n], given, turn=False)(estimate.pos[:, n:])], 1)
        else:
            pos = torch.cat([Motion.onto(given, estimate.pos[:, :n])(given), estimate.pos[:, n:]], 1)
        known = self.known.present()
        classes = {
            name: torch.cat([known[name].expand(len(noisy), -1, -1), value[:, known[name].shape[1] :]], 1)
            for name, value in estimate.present().items()
            if name != "pos"
        }
        return self._with_allowed_bonds(Prediction(pos, **classes), noisy.mask.shape[1])

    def step(
        self,
        noisy: MolBatch,
        estimate: Prediction,
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        noise: Noise,
        options: StepOptions,
    ) -> MolBatch:
        """Go from time t to s <= t, with the mean of the estimate."""
        return self._with_known_tokens(self.placed.step(noisy, estimate, t, s, noise, options))

    def decode(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> MolBatch:
        """The molecules in the frame of the fixed atoms, which are exactly as given."""
        given, n = self.fixed.atoms.pos.expand(len(mask), -1, -1), len(self.fixed)
        out = self.process.decode(estimate, mask)
        moved = Motion.onto(out.pos[:, :n], given, turn=not self.in_place)(out.pos)
        return out.replace(pos=torch.cat([given, moved[:, n:]], 1))

    def _with_known_tokens(self, noisy: MolBatch) -> MolBatch:
        """Noisy molecules whose fixed atoms and bonds have true tokens already: those may be true at any time."""
        fields = {}
        for name in FIELDS[1:]:
            value, known = getattr(noisy, name), getattr(self.fixed.atoms, name)
            if value is not None and not value.is_floating_point():
                fields[name] = torch.cat([known.expand(len(noisy), -1), value[:, known.shape[1] :]], 1)
        if "bond_types" in fields:
            fields["bond_types"] = fields["bond_types"].masked_fill(self._most_bonds(noisy.mask.shape[1]) == 0, 0)
        return noisy.replace(**fields)

    def _guess(self, mask: Bool[Tensor, "B N"]) -> MolBatch:
        """Where atoms might be: the new ones all in one point, beyond the atoms that may bind them."""
        b, n = mask.shape
        atoms, new = self.fixed.atoms, n - len(self.fixed)
        ends, middle = mean_position(atoms.pos, self.fixed.free[None] > 0), mean_position(atoms.pos, atoms.mask)
        point = (ends + _BEYOND * (ends - middle)).expand(b, new, -1)

        def filled(known: Tensor | None, length: int) -> Tensor | None:
            return None if known is None else torch.nn.functional.pad(known, (0, length - known.shape[1])).expand(b, -1)

        return MolBatch(
            torch.cat([atoms.pos.expand(b, -1, -1), point], 1),
            filled(atoms.atom_types, n),
            filled(atoms.charges, n),
            filled(atoms.bond_types, n * (n - 1) // 2),
            mask,
        )

    def _with_allowed_bonds(self, estimate: Prediction, num_atoms: int) -> Prediction:
        """No bonds from fixed to new atoms beyond the free valences."""
        if estimate.bond_types is None:
            return estimate
        orders = torch.arange(estimate.bond_types.shape[-1], device=estimate.pos.device)
        ruled_out = orders > self._most_bonds(num_atoms)[:, None]
        least = estimate.bond_types.amin(-1, keepdim=True).clamp(max=0)  # below 0 for real features of classes
        return replace(estimate, bond_types=torch.where(ruled_out, least, estimate.bond_types))

    def _most_bonds(self, num_atoms: int) -> Int[Tensor, " P"]:
        """The highest bond order that each pair may have; 3 where the fixed atoms say nothing of it."""
        n, (i, j) = len(self.fixed), pair_indices(num_atoms, self.fixed.free.device)
        return torch.where((i >= n) & (j < n), self.fixed.free[j.clamp(max=n - 1)], 3)
