"""From a trained model to molecules: sizes, noise, batches, sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.whole import is_whole
from moldiff.data.batch import MolBatch
from moldiff.data.molecules import to_arrays
from moldiff.diffusion.conditions import Conditions, Dressed, dress
from moldiff.diffusion.inpainting import sample_around
from moldiff.diffusion.model import Model
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.diffusion.part import ALL, Part
from moldiff.diffusion.site import Site
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
    num_atoms: int | None = None,
    batch_size: int = 64,
    bfloat16: bool = False,
    part: Part = ALL,
    **conditions: Unpack[Conditions],
) -> Iterator[SampledBatch]:
    """Draw molecules on the model's device and give each batch when it is finished.

    All molecules of a batch have the same size: nothing is computed for padding, and the arithmetic of a molecule,
    which would be rounded otherwise in a padded row, does not depend on its company.

    Molecule i depends on the model, the seed, the number of steps and i only. Arguments as in
    `MoleculeGenerator.sample`; `part`: which of the molecules are drawn.
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
    dressed, site, fixed = dress(model, conditions), conditions.get("site"), conditions.get("fixed")
    wanted = num_atoms or (site.num_atoms if site is not None else None)
    sizes = _sizes(_histogram(model, site), num_samples, seed, wanted, 0 if fixed is None else len(fixed))
    for chosen in part.of(_batches(sizes, batch_size)):
        size = int(sizes[chosen[0]])
        batch = _denoise(model, size, chosen, seed, num_steps or model.num_steps, bfloat16, dressed)
        if site is not None:
            batch = batch.replace(pos=batch.pos + site.centre.to(batch.pos))
        drawn = zip(chosen.tolist(), to_arrays(batch, model.statistics.vocabulary), strict=True)
        new = {index: molecule for index, molecule in drawn if index not in part.done}
        yield SampledBatch(tuple(new), tuple(new.values()))


def _batches(sizes: Tensor, batch_size: int) -> list[Tensor]:
    """Indices of molecules of the same size, the largest first."""
    same = [(sizes == size).nonzero().flatten() for size in sorted(set(sizes.tolist()), reverse=True)]
    return [batch for indices in same for batch in indices.split(batch_size)]


def _histogram(model: Model, site: Site | None) -> Mapping[int, float]:
    """How many atoms new molecules may have: as in the training data; in a pocket as ligands of similar ones."""
    in_pockets = model.statistics.pocket_sizes
    if site is None or in_pockets is None:
        return model.statistics.sizes
    return in_pockets.histogram(site.pocket.pos[site.pocket.mask], site.centre)


def _sizes(sizes: Mapping[int, float], num_samples: int, seed: int, num_atoms: int | None, num_fixed: int) -> Tensor:
    if num_atoms is not None:
        if num_atoms <= num_fixed:
            raise ValueError(
                f"molecules of {num_atoms} atoms cannot hold {num_fixed} fixed ones and more: give a larger num_atoms"
            )
        return torch.full((num_samples,), num_atoms)
    histogram = {size: count for size, count in sizes.items() if size > num_fixed}
    if not histogram:
        raise ValueError(
            f"got {num_fixed} fixed atoms; the largest molecule that the model was trained on has {max(sizes)}: give "
            "num_atoms, or fix fewer atoms"
        )
    keys = -1 - torch.arange(num_samples)  # keys of their own: indices >= 0 are those of the noise
    return SizePrior(histogram)(MoleculeNoise(seed, keys).uniform(torch.empty(num_samples)))


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
        denoiser, process, sampler, context = dressed.denoiser, dressed.process, dressed.sampler, dressed.context
        if dressed.around:
            return sample_around(sampler, denoiser, process, mask, num_steps, noise, context, is_done)
        return sampler(denoiser, process, mask, num_steps, noise, context)
