"""Samplers: from prior noise to molecules in a chosen number of steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from moldiff.data.batch import MolBatch
from moldiff.diffusion.grid import GeometricGrid, PowerGrid, TimeGrid, UniformGrid
from moldiff.diffusion.noise import Noise
from moldiff.diffusion.process import StepOptions
from moldiff.diffusion.settings import Configured
from moldiff.models.denoiser import Context, Denoiser, Prediction


@runtime_checkable
class MoleculeProcess(Protocol):
    """What a sampler asks of a `JointProcess`, or of what is wrapped around one."""

    def signal(self, t: Float[Tensor, " T"]) -> Float[Tensor, " T"]:
        """Signal over noise, alpha / sigma, of the coordinates."""

    def prior(self, mask: Bool[Tensor, "B N"], noise: Noise) -> MolBatch:
        """Molecules at t = 1, of the sizes that the mask tells."""

    def estimate(self, noisy: MolBatch, output: Prediction, t: Float[Tensor, " B"]) -> Prediction:
        """The clean estimate that the output of a denoiser stands for."""

    def step(
        self,
        noisy: MolBatch,
        estimate: Prediction,
        t: Float[Tensor, " B"],
        s: Float[Tensor, " B"],
        noise: Noise,
        options: StepOptions,
    ) -> MolBatch:
        """Go from time t to s <= t."""

    def decode(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> MolBatch:
        """The molecules that a final estimate stands for."""


@dataclass(frozen=True)
class Start:
    """Noisy molecules that a sampler starts from, in place of those at t = 1."""

    batch: MolBatch
    time: float


class Sampler(Configured, ABC):
    """Draws molecules with a denoiser. Holds settings only: nothing is kept between calls."""

    @abstractmethod
    def __call__(
        self,
        denoiser: Denoiser,
        process: MoleculeProcess,
        mask: Bool[Tensor, "B N"],
        num_steps: int,
        noise: Noise,
        context: Context | None = None,
        start: Start | None = None,
    ) -> MolBatch:
        """Molecules of the sizes that the mask tells; the same noise gives the same molecules."""


class EulerSampler(Sampler):
    """First-order steps: the ODE (DDIM, Song 2021) if stochasticity = 0, between it and the SDE otherwise."""

    def __init__(
        self,
        grid: TimeGrid | None = None,
        stochasticity: float = 0.0,
        jump_rate: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        """Arguments as in `StepOptions`; `grid`: geometric if not given."""
        self.grid = grid or GeometricGrid()
        self.options = StepOptions(stochasticity, jump_rate, temperature)

    def __call__(
        self,
        denoiser: Denoiser,
        process: MoleculeProcess,
        mask: Bool[Tensor, "B N"],
        num_steps: int,
        noise: Noise,
        context: Context | None = None,
        start: Start | None = None,
    ) -> MolBatch:
        """See `Sampler`. One evaluation of the network a step."""
        context, times = context or Context(), self.grid(num_steps).to(mask.device)
        x = process.prior(mask, noise) if start is None else start.batch
        times = times if start is None else _from(times, start.time)
        estimate = _estimate(denoiser, process, x, times[0], context)
        for t, s in pairwise(times[:-1]):
            x = process.step(x, estimate, _rows(t, mask), _rows(s, mask), noise, self.options)
            estimate = _estimate(denoiser, process, x, s, replace(context, previous=estimate))
        return process.decode(estimate, mask)


class AncestralSampler(Sampler):
    """Ancestral sampling (Ho 2020, DDPM; Austin 2021, D3PM): fresh noise, exact posteriors, equal steps."""

    def __init__(self, grid: TimeGrid | None = None, temperature: float = 1.0) -> None:
        """`grid`: uniform if not given."""
        self.steps = EulerSampler(grid or UniformGrid(), stochasticity=1.0, temperature=temperature)
        self.steps.options = replace(self.steps.options, posterior=True)

    def __call__(
        self,
        denoiser: Denoiser,
        process: MoleculeProcess,
        mask: Bool[Tensor, "B N"],
        num_steps: int,
        noise: Noise,
        context: Context | None = None,
        start: Start | None = None,
    ) -> MolBatch:
        """See `Sampler`. One evaluation of the network a step."""
        return self.steps(denoiser, process, mask, num_steps, noise, context, start)


class MultistepSampler(Sampler):
    """Second-order steps for coordinates at the cost of first-order ones (Zhang & Chen 2023, DEIS, of order 1 in time).

    The clean estimate of the coordinates is taken to change linearly in time, as it did between the last two calls, and
    integrated exactly along the step; classes take the first-order step.
    """

    def __init__(self, grid: TimeGrid | None = None, jump_rate: float = 1.0, temperature: float = 1.0) -> None:
        """Arguments as in `StepOptions`; `grid`: a power grid if not given."""
        self.grid = grid or PowerGrid()
        self.options = StepOptions(0.0, jump_rate, temperature)

    def __call__(
        self,
        denoiser: Denoiser,
        process: MoleculeProcess,
        mask: Bool[Tensor, "B N"],
        num_steps: int,
        noise: Noise,
        context: Context | None = None,
        start: Start | None = None,
    ) -> MolBatch:
        """See `Sampler`. One evaluation of the network a step."""
        context, times = context or Context(), self.grid(num_steps).to(mask.device)
        x = process.prior(mask, noise) if start is None else start.batch
        times = times if start is None else _from(times, start.time)
        estimate = ahead = _estimate(denoiser, process, x, times[0], context)
        for k in range(len(times) - 2):
            x = process.step(x, ahead, _rows(times[k], mask), _rows(times[k + 1], mask), noise, self.options)
            previous = estimate
            estimate = _estimate(denoiser, process, x, times[k + 1], replace(context, previous=previous))
            if k + 3 < len(times):
                reach = _reach(process, times[k : k + 3])
                ahead = replace(estimate, pos=estimate.pos + reach * (estimate.pos - previous.pos))
        return process.decode(estimate, mask)


class HeunSampler(Sampler):
    """Second-order steps for coordinates (trapezoid rule on the clean estimate, as DPM-Solver++ 2S, Lu 2022).

    Each step asks the network again at its end and repeats the coordinates' step with the mean of both estimates;
    classes take the first-order step. All but the last step cost two evaluations.
    """

    def __init__(self, grid: TimeGrid | None = None, jump_rate: float = 1.0, temperature: float = 1.0) -> None:
        """Arguments as in `StepOptions`; `grid`: geometric if not given."""
        self.grid = grid or GeometricGrid()
        self.options = StepOptions(0.0, jump_rate, temperature)

    def __call__(
        self,
        denoiser: Denoiser,
        process: MoleculeProcess,
        mask: Bool[Tensor, "B N"],
        num_steps: int,
        noise: Noise,
        context: Context | None = None,
        start: Start | None = None,
    ) -> MolBatch:
        """See `Sampler`."""
        context, times = context or Context(), self.grid(num_steps).to(mask.device)
        x = process.prior(mask, noise) if start is None else start.batch
        times = times if start is None else _from(times, start.time)
        estimate = _estimate(denoiser, process, x, times[0], context)
        for t, s in pairwise(times[:-1]):
            first = process.step(x, estimate, _rows(t, mask), _rows(s, mask), noise, self.options)
            context = replace(context, previous=estimate)
            at_end = _estimate(denoiser, process, first, s, context)
            mean = replace(estimate, pos=(estimate.pos + at_end.pos) / 2)
            second = process.step(x, mean, _rows(t, mask), _rows(s, mask), noise, self.options)
            x = first.replace(pos=second.pos)
            context = replace(context, previous=at_end)
            estimate = _estimate(denoiser, process, x, s, context)
        return process.decode(estimate, mask)


def _reach(process: MoleculeProcess, times: Float[Tensor, "3"]) -> Float[Tensor, ""]:
    """How far beyond its last value the clean estimate is taken, in units of its last change.

    A step weighs estimates with d(alpha/sigma), so a linear change counts at the mean time under this weight; the
    integral of alpha/sigma in it is taken by Simpson's rule.
    """
    before, now, then = times
    a_now, a_middle, a_then = process.signal(torch.stack([now, (now + then) / 2, then]))
    integral = (a_now + 4 * a_middle + a_then) / 6 * (now - then)
    mean = (then * a_then - now * a_now + integral) / (a_then - a_now)
    reach: Tensor = (now - mean) / (before - now)
    return reach


def _estimate(
    denoiser: Denoiser, process: MoleculeProcess, x: MolBatch, t: Float[Tensor, ""], context: Context
) -> Prediction:
    rows = _rows(t, x.mask)
    return process.estimate(x, denoiser(x, rows, context), rows)


def _from(times: Float[Tensor, " T"], start: float) -> Float[Tensor, " S"]:
    """The times of a grid from one in between on."""
    return torch.cat([times.new_tensor([start]), times[times < start]])


def _rows(t: Float[Tensor, ""], mask: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
    """One time as a time per molecule."""
    return t.expand(mask.shape[0])
