"""From a trained model to molecules: sizes, noise, batches, sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Unpack

import torch
from rdkit import Chem
from torch import Tensor

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.trajectory import Frame, Trajectory
from moldiff.chem.whole import whole_mol
from moldiff.data.batch import MolBatch
from moldiff.data.molecules import to_arrays
from moldiff.diffusion.alignment import Motion
from moldiff.diffusion.conditions import Conditions, Dressed, dress
from moldiff.diffusion.inpainting import FixedProcess, sample_around
from moldiff.diffusion.model import Model
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.diffusion.sampler import Sampler, Start, State, Watch
from moldiff.diffusion.site import Site
from moldiff.diffusion.size_prior import SizePrior
from moldiff.diffusion.steering import Drawing, Steered, Steering, steer
from moldiff.models.denoiser import FIELDS


@dataclass(frozen=True)
class SampledBatch:
    """Some finished molecules and their indices among the requested ones."""

    indices: tuple[int, ...]
    molecules: tuple[MoleculeArrays, ...]
    notes: tuple[Mapping[str, float], ...]  # what is known of each besides: with steering, `reward` and `sample_size`


def generate(
    model: Model,
    num_samples: int,
    seed: int = 0,
    num_steps: int | None = None,
    num_atoms: int | None = None,
    batch_size: int = 64,
    bfloat16: bool = False,
    **conditions: Unpack[Conditions],
) -> Iterator[SampledBatch]:
    """Draw molecules on the model's device and give each batch when it is finished.

    All molecules of a batch have the same size: nothing is computed for padding, and the arithmetic of a molecule,
    which would be rounded otherwise in a padded row, does not depend on its company.

    Molecule i depends on the model, the seed, the number of steps and i only. Arguments as in
    `MoleculeGenerator.sample`.
    """
    for name, value in (("num_samples", num_samples), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1: got {value}")
    task = _task(model, seed, num_steps, bfloat16, conditions)
    sizes = _sizes(model, num_samples, seed, *_wanted(num_atoms, conditions))
    together = batch_size if task.steering is None else max(1, batch_size // task.steering.particles)
    for size in sorted(set(sizes.tolist()), reverse=True):
        same = (sizes == size).nonzero().flatten()
        for first in range(0, len(same), together):
            yield task.sampled(size, same[first : first + together])


def trace(
    model: Model,
    index: int,
    seed: int = 0,
    num_steps: int | None = None,
    num_atoms: int | None = None,
    bfloat16: bool = False,
    **conditions: Unpack[Conditions],
) -> Trajectory:
    """Draw one of the molecules that `generate` draws, and keep its steps. Arguments as in `MoleculeGenerator.sample`.

    Raises:
        ValueError: if the molecule is steered: its way is not one.
    """
    if index < 0:
        raise ValueError(f"index must be at least 0: got {index}")
    task = _task(model, seed, num_steps, bfloat16, conditions)
    if task.steering is not None:
        raise ValueError("a steered molecule has no single way from noise to data: leave out steering or trajectory")
    size = int(_sizes(model, index + 1, seed, *_wanted(num_atoms, conditions))[index])
    frames: list[Frame] = []

    def watch(state: State) -> None:
        clean = task.dressed.process.decode(state.estimate, state.batch.mask)
        noisy = _shown(state, clean, moved=isinstance(task.dressed.process, FixedProcess))
        frames.append(Frame(float(state.time), task.arrays(noisy)[0], task.arrays(clean)[0]))

    end = task.arrays(task.draw(size, task.noise(torch.tensor([index])), watch=watch))[0]
    return Trajectory((*frames, Frame(0.0, end, end)), f"seed{seed}-{index}")


def _wanted(num_atoms: int | None, conditions: Conditions) -> tuple[int | None, int]:
    """The number of atoms of each molecule, if it is known, and that of fixed ones."""
    site, fixed = conditions.get("site"), conditions.get("fixed")
    return num_atoms or (site.num_atoms if site is not None else None), 0 if fixed is None else len(fixed)


def _sizes(model: Model, num_samples: int, seed: int, num_atoms: int | None, num_fixed: int) -> Tensor:
    if num_atoms is not None:
        if num_atoms <= num_fixed:
            raise ValueError(
                f"molecules of {num_atoms} atoms cannot hold {num_fixed} fixed ones and more: give a larger num_atoms"
            )
        return torch.full((num_samples,), num_atoms)
    histogram = {size: count for size, count in model.statistics.sizes.items() if size > num_fixed}
    if not histogram:
        largest = max(model.statistics.sizes)
        raise ValueError(
            f"got {num_fixed} fixed atoms; the largest molecule that the model was trained on has {largest}: give "
            "num_atoms, or fix fewer atoms"
        )
    keys = -1 - torch.arange(num_samples)  # keys of their own: indices >= 0 are those of the noise
    return SizePrior(histogram)(MoleculeNoise(seed, keys).uniform(torch.empty(num_samples)))


def _shown(state: State, clean: MolBatch, moved: bool) -> MolBatch:
    """The noisy molecules of a state as classes; masked ones as in the clean estimate; `moved`: into its frame."""
    batch = state.batch
    pos = Motion.onto(state.estimate.pos, clean.pos)(batch.pos) if moved else batch.pos
    fields: dict[str, Tensor] = {}
    for name in FIELDS[1:]:
        noisy, found, estimate = getattr(batch, name), getattr(clean, name), getattr(state.estimate, name)
        if noisy is not None:
            tokens = noisy.argmax(-1) if noisy.is_floating_point() else noisy
            fields[name] = torch.where(tokens < estimate.shape[-1], tokens, found)
    return batch.replace(pos=pos, **fields)


def _task(model: Model, seed: int, num_steps: int | None, bfloat16: bool, conditions: Conditions) -> _Task:
    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed must be an integer of 64 bits: got {seed}; choose a smaller one")
    if num_steps is not None and num_steps < 1:
        raise ValueError(f"num_steps must be at least 1: got {num_steps}; the model's default is {model.num_steps}")
    site, steering = conditions.get("site"), conditions.get("steering")
    return _Task(model, seed, num_steps or model.num_steps, bfloat16, dress(model, conditions), site, steering)


@dataclass(frozen=True)
class _Task:
    """What stays the same from batch to batch."""

    model: Model
    seed: int
    num_steps: int
    bfloat16: bool
    dressed: Dressed
    site: Site | None
    steering: Steering | None

    def noise(self, indices: Tensor) -> MoleculeNoise:
        """For the molecules of these indices."""
        return MoleculeNoise(self.seed, indices.to(self._device))

    def sampled(self, size: int, indices: Tensor) -> SampledBatch:
        """Molecules of these indices, all of one size."""
        steered, where = self._steered(size, indices) if self.steering is not None else None, tuple(indices.tolist())
        if steered is None:
            batch = self.draw(size, self.noise(indices))
            return SampledBatch(where, tuple(self.arrays(batch)), ({},) * len(indices))
        values = zip(steered.rewards.tolist(), steered.sizes.tolist(), strict=True)
        notes = tuple({"reward": reward, "sample_size": number} for reward, number in values)
        return SampledBatch(where, tuple(self.arrays(steered.batch)), notes)

    @torch.inference_mode()
    def draw(
        self,
        size: int,
        noise: MoleculeNoise,
        sampler: Sampler | None = None,
        num_steps: int | None = None,
        start: Start | None = None,
        watch: Watch | None = None,
    ) -> MolBatch:
        """Molecules of one size; by default from pure noise, as the model draws them."""
        parts, sampler, steps = self.dressed, sampler or self.dressed.sampler, num_steps or self.num_steps
        mask = torch.ones(len(noise.key), size, dtype=torch.bool, device=self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.bfloat16):
            if isinstance(parts.process, FixedProcess) and start is None:
                return sample_around(
                    sampler, parts.denoiser, parts.process, mask, steps, noise, parts.context, self._is_done, watch
                )
            return sampler(parts.denoiser, parts.process, mask, steps, noise, parts.context, start, watch)

    @torch.inference_mode()
    def _steered(self, size: int, indices: Tensor) -> Steered:
        assert self.steering is not None

        def draw(sampler: Sampler, num_steps: int, noise: MoleculeNoise, start: Start | None) -> MolBatch:
            return self.draw(size, noise, sampler, num_steps, start)

        drawing = Drawing(draw, self._read, self.dressed.process, self.dressed.sampler, self.num_steps)
        return steer(self.steering, drawing, self.seed, indices.to(self._device))

    def arrays(self, batch: MolBatch) -> list[MoleculeArrays]:
        """The molecules of a batch; in a pocket, in the protein's frame."""
        if self.site is not None:
            batch = batch.replace(pos=batch.pos + self.site.centre.to(batch.pos))
        return to_arrays(batch, self.model.statistics.vocabulary)

    def _read(self, batch: MolBatch) -> list[Chem.Mol | None]:
        """Sanitized molecules; None where one is not whole."""
        return [whole_mol(a, self.model.statistics.vocabulary.hydrogens) for a in self.arrays(batch)]

    def _is_done(self, batch: MolBatch) -> Tensor:
        return torch.tensor([mol is not None for mol in self._read(batch)], device=batch.mask.device)

    @property
    def _device(self) -> torch.device:
        return next(self.model.denoiser.parameters()).device
