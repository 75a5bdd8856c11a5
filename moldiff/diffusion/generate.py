"""From a trained model to molecules: sizes, noise, batches, sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import torch
from jaxtyping import Int
from torch import Tensor

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.whole import is_whole
from moldiff.data.batch import MolBatch
from moldiff.data.molecules import to_arrays
from moldiff.diffusion.conditions import Conditions, Dressed, dress
from moldiff.diffusion.inpainting import FixedProcess, sample_around
from moldiff.diffusion.model import Model
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.diffusion.properties import sizes_of, target_of
from moldiff.diffusion.size_prior import SizePrior


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
    num_atoms: int | Sequence[int] | None = None,
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
    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed must be an integer of 64 bits: got {seed}; choose a smaller one")
    if num_steps is not None and num_steps < 1:
        raise ValueError(f"num_steps must be at least 1: got {num_steps}; the model's default is {model.num_steps}")
    site = conditions.get("site")
    dressed = dress(model, conditions, num_samples)
    sizes = _sizes(model, num_samples, seed, num_atoms, conditions)
    for size in sorted(set(sizes.tolist()), reverse=True):
        same = (sizes == size).nonzero().flatten()
        for first in range(0, len(same), batch_size):
            chosen = same[first : first + batch_size]
            batch = _denoise(model, size, chosen, seed, num_steps or model.num_steps, bfloat16, dressed)
            if site is not None:
                batch = batch.replace(pos=batch.pos + site.centre.to(batch.pos))
            yield SampledBatch(tuple(chosen.tolist()), tuple(to_arrays(batch, model.statistics.vocabulary)))


def _sizes(
    model: Model, num_samples: int, seed: int, num_atoms: int | Sequence[int] | None, conditions: Conditions
) -> Int[Tensor, " S"]:
    site, fixed, asked = conditions.get("site"), conditions.get("fixed"), conditions.get("properties") or {}
    num_fixed = 0 if fixed is None else len(fixed)
    if num_atoms is None and site is not None:
        num_atoms = site.num_atoms
    if num_atoms is not None:
        sizes = torch.as_tensor(num_atoms).flatten()
        if len(sizes) not in (1, num_samples) or sizes.min() < 1:
            raise ValueError(
                f"num_atoms must be at least 1, for all {num_samples} molecules or for each: got {num_atoms}; leave it "
                "out to draw sizes from the training data"
            )
        if sizes.min() <= num_fixed:
            raise ValueError(
                f"molecules of {sizes.min()} atoms cannot hold {num_fixed} fixed ones and more: give a larger num_atoms"
            )
        return sizes.expand(num_samples)
    uniform = MoleculeNoise(seed, -1 - torch.arange(num_samples)).uniform(torch.empty(num_samples))  # own keys: < 0
    if all(isinstance(value, int | float) for value in asked.values()):
        return _prior(model, target_of(asked, 0), num_fixed)(uniform)
    each = [_prior(model, target_of(asked, i), num_fixed)(uniform[i : i + 1]) for i in range(num_samples)]
    return torch.cat(each)


def _prior(model: Model, target: Mapping[str, float], num_fixed: int) -> SizePrior:
    """Sizes that go with a target and hold the fixed atoms."""
    histogram = {size: weight for size, weight in model.statistics.sizes.items() if size > num_fixed}
    if not histogram:
        largest = max(model.statistics.sizes)
        raise ValueError(
            f"got {num_fixed} fixed atoms; the largest molecule that the model was trained on has {largest}: give "
            "num_atoms, or fix fewer atoms"
        )
    likely = sizes_of(target, model.statistics) if target else histogram
    return SizePrior({size: weight for size, weight in likely.items() if size > num_fixed} or histogram)


@torch.inference_mode()
def _denoise(
    model: Model,
    size: int,
    indices: Tensor,
    seed: int,
    num_steps: int,
    bfloat16: bool,
    dressed: Dressed,
) -> MolBatch:
    device = next(model.denoiser.parameters()).device
    mask = torch.ones(len(indices), size, dtype=torch.bool, device=device)
    noise = MoleculeNoise(seed, indices.to(device))

    def is_done(batch: MolBatch) -> Tensor:
        arrays = to_arrays(batch, model.statistics.vocabulary)
        whole = [is_whole(a, model.statistics.vocabulary.hydrogens) for a in arrays]
        return torch.tensor(whole, device=device)

    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        denoiser, process, sampler = dressed.denoiser, dressed.process, dressed.sampler
        context = dressed.context_of(indices.to(device))
        if isinstance(process, FixedProcess):
            return sample_around(sampler, denoiser, process, mask, num_steps, noise, context, is_done)
        return sampler(denoiser, process, mask, num_steps, noise, context)
