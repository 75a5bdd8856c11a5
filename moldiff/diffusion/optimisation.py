"""Improving a molecule: noise it part of the way, denoise it again, keep the best, and so on.

The evolutionary search of DiffSBDD (Schneuing et al. 2024, section on molecular optimisation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from moldiff.chem.arrays import MoleculeArrays
from moldiff.data.batch import MolBatch
from moldiff.data.molecules import to_arrays
from moldiff.diffusion.batch_size import default_batch_size
from moldiff.diffusion.conditions import Conditions, Dressed, dress
from moldiff.diffusion.generate import check_integers
from moldiff.diffusion.model import Model
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.diffusion.sampler import Start
from moldiff.models.denoiser import FIELDS

_PARENTS = 4  # one of so many molecules of the population has children


@dataclass(frozen=True)
class Candidate:
    """A molecule that may have children."""

    index: int  # generation by generation; -1: the molecule that was given
    arrays: MoleculeArrays
    mol: Chem.Mol  # as it is written to files
    smiles: str  # by which molecules are told apart
    value: float  # of the objective
    fitness: float  # the higher, the better


Judge = Callable[[MoleculeArrays, int, int], Candidate | None]
"""Tells of a molecule, its index and its generation what it is worth; None: nothing."""


@dataclass(frozen=True)
class Generation:
    """What is known after a generation."""

    number: int  # 0: only the molecule that was given
    drawn: int  # molecules of this generation
    valid: int  # those of them that have a value
    new: int  # those of them that were not seen before
    best: tuple[Candidate, ...]  # of this and all earlier generations, the best first, each once


def optimise(
    model: Model,
    start: MoleculeArrays,
    judge: Judge,
    generations: int,
    population: int,
    noise_level: float,
    seed: int = 0,
    num_steps: int | None = None,
    batch_size: int | None = None,
    bfloat16: bool = False,
    **conditions: Unpack[Conditions],
) -> Iterator[Generation]:
    """Give each generation when it is finished; arguments as in `MoleculeGenerator.optimize`.

    Molecule i depends on the model, the seed, i, the settings and its parent only.
    """
    batch_size = default_batch_size(model.device) if batch_size is None else batch_size
    sizes = {"generations": generations, "population": population, "batch_size": batch_size}
    check_integers(**sizes, seed=seed, num_steps=model.num_steps if num_steps is None else num_steps)
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1: got {value}")
    if not 0 < noise_level < 1:
        raise ValueError(f"noise_level must lie between 0, no change, and 1, all anew: got {noise_level}; try 0.5")
    if model.process.processes.keys() != set(FIELDS):
        got = ", ".join(model.process.processes)
        raise ValueError(f"improving a molecule needs a model of {', '.join(FIELDS)}: got {got}")
    if conditions.get("fixed") is not None:
        raise ValueError("fixed atoms cannot be kept while a molecule is improved: leave out `fixed`")
    if conditions.get("formula") is not None:
        raise ValueError("elements may change while a molecule is improved: leave out `formula`")
    if conditions.get("steering") is not None:
        raise ValueError("a reward cannot steer while a molecule is improved: give it as the objective")
    dressed, site = dress(model, conditions), conditions.get("site")
    origin = start.positions.mean(0) if site is None else site.centre.double().numpy()
    first = judge(start, -1, 0)
    if first is None:
        raise ValueError("the molecule that is to be improved has no value: expected a valid one, all in one piece")
    best = {first.smiles: first}
    yield Generation(0, 1, 1, 1, (first,))
    for number in range(1, generations + 1):
        parents = ranked(best)[: max(1, population // _PARENTS)]
        valid = new = 0
        for part in np.array_split(np.arange(population), -(-population // batch_size)):
            old = [parents[i % len(parents)].arrays for i in part.tolist()]
            indices = (number - 1) * population + torch.as_tensor(part)
            noise = (noise_level, num_steps or model.num_steps, seed, indices, bfloat16)
            for index, arrays in zip(indices.tolist(), _children(model, dressed, old, origin, *noise), strict=True):
                child = judge(arrays, index, number)
                valid += child is not None
                if child is not None and child.smiles not in best:
                    best[child.smiles] = child
                    new += 1
        yield Generation(number, population, valid, new, tuple(ranked(best)))


def ranked(candidates: dict[str, Candidate]) -> list[Candidate]:
    """The best first; of equals the first that was found."""
    return sorted(candidates.values(), key=lambda candidate: (-candidate.fitness, candidate.index))


@torch.inference_mode()
def _children(
    model: Model,
    dressed: Dressed,
    parents: Sequence[MoleculeArrays],
    origin: np.ndarray,
    noise_level: float,
    num_steps: int,
    seed: int,
    indices: Tensor,
    bfloat16: bool,
) -> list[MoleculeArrays]:
    """One child of each parent; parents have the same number of atoms."""
    device = model.device
    noise, batch = MoleculeNoise(seed, indices.to(device)), _batch(model, parents, origin).to(device)
    t = torch.full((len(batch),), noise_level, device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        start = Start(dressed.process.corrupt(batch, t, noise), noise_level)
        parts = (dressed.denoiser, dressed.process, batch.mask, num_steps, noise, dressed.context, start)
        drawn = dressed.sampler(*parts)
    children = to_arrays(drawn, model.statistics.vocabulary)
    return [replace(child, positions=child.positions + origin) for child in children]


def _batch(model: Model, molecules: Sequence[MoleculeArrays], origin: np.ndarray) -> MolBatch:
    """Molecules of one size in the frame in which they are denoised."""
    vocabulary = model.statistics.vocabulary
    return MolBatch(
        torch.tensor(np.stack([m.positions - origin for m in molecules]), dtype=torch.float32),
        torch.as_tensor(np.stack([vocabulary.element_index(m.atomic_numbers) for m in molecules])),
        torch.as_tensor(np.stack([vocabulary.charge_index(m.charges) for m in molecules])),
        torch.as_tensor(np.stack([m.bond_orders for m in molecules if m.bond_orders is not None]).astype(np.int64)),
        torch.ones(len(molecules), len(molecules[0]), dtype=torch.bool),
    )
