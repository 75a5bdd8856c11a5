"""From a trained model to molecules: sizes, noise, batches, sampler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from moldiff.chem.arrays import MoleculeArrays
from moldiff.data.batch import MolBatch
from moldiff.data.molecules import to_arrays
from moldiff.diffusion.model import Model
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.diffusion.site import Site
from moldiff.diffusion.size_prior import SizePrior
from moldiff.models.denoiser import Context


@dataclass(frozen=True)
class SampledBatch:
    """Some finished molecules and their indices among the requested ones."""

    indices: tuple[int, ...]
    molecules: tuple[MoleculeArrays, ...]


def generate(
    model: Model,
    num_samples: int,
    seed: int = 0,
    num_steps: int | None = None,
    num_atoms: int | None = None,
    batch_size: int = 64,
    bfloat16: bool = False,
    site: Site | None = None,
) -> Iterator[SampledBatch]:
    """Draw molecules on the model's device and give each batch when it is finished.

    All molecules of a batch have the same size: nothing is computed for padding, and the arithmetic of a molecule,
    which would be rounded otherwise in a padded row, does not depend on its company.

    Molecule i depends on the model, the seed, the number of steps and i only. Arguments as in
    `MoleculeGenerator.sample`; `site`: where molecules are built, if in a pocket.
    """
    for name, value in (("num_samples", num_samples), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1: got {value}")
    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed must be an integer of 64 bits: got {seed}; choose a smaller one")
    if num_steps is not None and num_steps < 1:
        raise ValueError(f"num_steps must be at least 1: got {num_steps}; the model's default is {model.num_steps}")
    if num_atoms is not None and num_atoms < 1:
        raise ValueError(
            f"num_atoms must be at least 1: got {num_atoms}; leave it out to draw sizes from the training data"
        )
    context = _context(model, site)
    sizes = _sizes(model, num_samples, seed, num_atoms or (site.num_atoms if site is not None else None))
    for size in sorted(set(sizes.tolist()), reverse=True):
        same = (sizes == size).nonzero().flatten()
        for first in range(0, len(same), batch_size):
            chosen = same[first : first + batch_size]
            batch = _denoise(model, size, chosen, seed, num_steps or model.num_steps, bfloat16, context)
            if site is not None:
                batch = batch.replace(pos=batch.pos + site.centre.to(batch.pos))
            yield SampledBatch(tuple(chosen.tolist()), tuple(to_arrays(batch, model.statistics.vocabulary)))


def _sizes(model: Model, num_samples: int, seed: int, num_atoms: int | None) -> Tensor:
    if num_atoms is not None:
        return torch.full((num_samples,), num_atoms)
    keys = -1 - torch.arange(num_samples)  # keys of their own: indices >= 0 are those of the noise
    return SizePrior(model.statistics.sizes)(MoleculeNoise(seed, keys).uniform(torch.empty(num_samples)))


@torch.inference_mode()
def _context(model: Model, site: Site | None) -> Context:
    """What the network knows besides the noisy molecules; the pocket is moved into their frame and encoded."""
    if site is None:
        return Context()
    device = next(model.denoiser.parameters()).device
    pocket = site.pocket.replace(pos=site.pocket.pos - site.centre).to(device)
    return model.denoiser.prepare(Context(pocket=pocket))


@torch.inference_mode()
def _denoise(
    model: Model, size: int, indices: Tensor, seed: int, num_steps: int, bfloat16: bool, context: Context
) -> MolBatch:
    device = next(model.denoiser.parameters()).device
    mask = torch.ones(len(indices), size, dtype=torch.bool, device=device)
    noise = MoleculeNoise(seed, indices.to(device))
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        return model.sampler(model.denoiser, model.process, mask, num_steps, noise, context)
