"""Sampling in rounds: what does not come out whole is noised part of the way, and denoised again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.diffusion.process import expand
from moldiff.diffusion.sampler import MoleculeProcess, Sampler, Start, Watch
from moldiff.models.denoiser import FIELDS, Context, Denoiser

ROUNDS, RESTART = 10, 0.7  # measured with benchmarks/fixed_parts.py, and formulas.py


def sample_in_rounds(
    sampler: Sampler,
    denoiser: Denoiser,
    process: MoleculeProcess,
    mask: Bool[Tensor, "B N"],
    num_steps: int,
    noise: MoleculeNoise,
    context_of: Callable[[Int[Tensor, " C"]], Context],
    is_done: Callable[[MolBatch], Bool[Tensor, " B"]],
    watch: Watch | None = None,
) -> MolBatch:
    """Molecules with something given, fixed atoms or a formula, drawn in rounds.

    A first pass often leaves the rest at odds with what is given, of which its noise knew little. A further round
    noises the molecule part of the way back, what is given in place, and denoises it again, which brings both into
    harmony (as the resampling of RePaint, Lugmayr 2022; since the noise of training is aligned to the data, whole
    molecules are noised, not steps). A molecule that `is_done` after a round is kept as it is; the others go on, for
    `ROUNDS` rounds at most.

    Arguments as in `Sampler`; `context_of`: what the network knows of some of the molecules.
    """
    rows = torch.arange(len(mask), device=mask.device)
    out = again = sampler(denoiser, process, mask, num_steps, noise, context_of(rows), watch=watch)
    for _ in range(ROUNDS):
        left = (~is_done(again)).nonzero().flatten()
        if not len(left):
            break
        rows, noise, again = rows[left], noise.take(left), again.take(left)
        finite = again.replace(pos=again.pos.nan_to_num(0.0, 0.0, 0.0))  # what is no number cannot be aligned
        times = torch.full((len(left),), RESTART, device=mask.device)
        start = Start(process.corrupt(finite, times, noise), RESTART)
        again = sampler(denoiser, process, mask[rows], num_steps, noise, context_of(rows), start, watch)
        out = _replaced(out, rows, again)
    return out


def _replaced(batch: MolBatch, rows: Int[Tensor, " C"], new: MolBatch) -> MolBatch:
    """A batch with other molecules in some of its rows."""
    fields = {}
    for name in FIELDS:
        old, value = getattr(batch, name), getattr(new, name)
        fields[name] = None if old is None else old.index_copy(0, rows, value)
    return batch.replace(**fields)


def chosen(first: Bool[Tensor, " B"], one: MolBatch, other: MolBatch) -> MolBatch:
    """Molecules of one batch where `first` is true, else of the other."""
    fields = {}
    for name in FIELDS:
        a, b = getattr(one, name), getattr(other, name)
        fields[name] = None if a is None else torch.where(expand(first.float(), a) > 0, a, b)
    return one.replace(**fields)
