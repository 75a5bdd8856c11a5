"""Samplers: from prior noise to molecules in a chosen number of steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
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

    def corrupt(self, clean: MolBatch, t: Float[Tensor, " B"], noise: Noise) -> MolBatch:
        """Molecules at time t."""

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


@dataclass(frozen=True)
class State:
    """Where a sampler stands after a call of the denoiser."""

    batch: MolBatch  # noisy molecules
    time: Float[Tensor, ""]
    estimate: Prediction  # the clean estimate of this call
    previous: Prediction | None = None  # that of the call before

    def take(self, rows: Int[Tensor, " C"]) -> State:
        """Some of the molecules, in this order; one may come several times."""
        previous = None if self.previous is None else self.previous.take(rows)
        return State(self.batch.take(rows), self.time, self.estimate.take(rows), previous)


Watch = Callable[[State], Int[Tensor, " C"] | None]


class Sampler(Configured, ABC):
    """Draws molecules with a denoiser. Holds settings only: nothing is kept between calls."""

    grid: TimeGrid
    options: StepOptions

    def __call__(
        self,
        denoiser: Denoiser,
        process: MoleculeProcess,
        mask: Bool[Tensor, "B N"],
        num_steps: int,
        noise: Noise,
        context: Context | None = None,
        start: Start | None = None,
        watch: Watch | None = None,
    ) -> MolBatch:
        """Molecules of the sizes that the mask tells; the same noise gives the same molecules.

        Args:
            denoiser: network.
            process: noise law.
            mask: which atoms exist.
            num_steps: steps; each costs one call of the network, if the sampler says nothing else.
            noise: source of random numbers.
            context: what the network knows besides.
            start: noisy molecules to start from, in place of noise.
            watch: is shown the state at the start and after each step; may tell the rows to go on with, such as
                `tensor([0, 0, 3])`, if molecules are to be dropped and doubled.
        """
        times = self.grid(num_steps).to(mask.device)
        times = times if start is None else _from(times, start.time)
        x = process.prior(mask, noise) if start is None else start.batch
        state = self.walk(denoiser, process, x, times[:-1], noise, context, watch)
        return process.decode(state.estimate, state.batch.mask)

    def walk(
        self,
        denoiser: Denoiser,
        process: MoleculeProcess,
        noisy: MolBatch,
        times: Float[Tensor, " T"],
        noise: Noise,
        context: Context | None = None,
        watch: Watch | None = None,
    ) -> State:
        """Go through some times and ask the denoiser at each; the state at the last.

        Arguments as in a call; `times`: falling, the first is that of the noisy molecules, the last above 0; `context`:
        with an earlier estimate, if there is one.
        """
        context = context or Context()
        walk = _Walk(denoiser, process, noise, replace(context, previous=None), self.options)
        state = _watched(walk.ask(noisy, times[0], context.previous), watch)
        for k in range(len(times) - 1):
            state = _watched(self._advance(walk, state, times[k + 1], times[k - 1] if k else None), watch)
        return state

    @abstractmethod
    def _advance(self, walk: _Walk, state: State, then: Float[Tensor, ""], before: Float[Tensor, ""] | None) -> State:
        """Go to the time `then`; `before`: the time of `state.previous`."""


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

    def _advance(self, walk: _Walk, state: State, then: Float[Tensor, ""], before: Float[Tensor, ""] | None) -> State:
        return walk.ask(walk.step(state, state.estimate, then), then, state.estimate)


class AncestralSampler(EulerSampler):
    """Ancestral sampling (Ho 2020, DDPM; Austin 2021, D3PM): fresh noise, exact posteriors, equal steps."""

    def __init__(self, grid: TimeGrid | None = None, temperature: float = 1.0) -> None:
        """`grid`: uniform if not given."""
        self.grid = grid or UniformGrid()
        self.options = StepOptions(1.0, temperature=temperature, posterior=True)


class MultistepSampler(Sampler):
    """Second-order steps for coordinates at the cost of first-order ones (Zhang & Chen 2023, DEIS, of order 1 in time).

    The clean estimate of the coordinates is taken to change linearly in time, as it did between the last two calls, and
    integrated exactly along the step; classes take the first-order step.
    """

    def __init__(self, grid: TimeGrid | None = None, jump_rate: float = 1.0, temperature: float = 1.0) -> None:
        """Arguments as in `StepOptions`; `grid`: a power grid if not given."""
        self.grid = grid or PowerGrid()
        self.options = StepOptions(0.0, jump_rate, temperature)

    def _advance(self, walk: _Walk, state: State, then: Float[Tensor, ""], before: Float[Tensor, ""] | None) -> State:
        ahead = state.estimate
        if state.previous is not None and before is not None:
            reach = _reach(walk.process, torch.stack([before, state.time, then]))
            ahead = replace(ahead, pos=ahead.pos + reach * (ahead.pos - state.previous.pos))
        return walk.ask(walk.step(state, ahead, then), then, state.estimate)


class HeunSampler(Sampler):
    """Second-order steps for coordinates (trapezoid rule on the clean estimate, as DPM-Solver++ 2S, Lu 2022).

    Each step asks the network again at its end and repeats the coordinates' step with the mean of both estimates;
    classes take the first-order step. All but the last step cost two evaluations.
    """

    def __init__(self, grid: TimeGrid | None = None, jump_rate: float = 1.0, temperature: float = 1.0) -> None:
        """Arguments as in `StepOptions`; `grid`: geometric if not given."""
        self.grid = grid or GeometricGrid()
        self.options = StepOptions(0.0, jump_rate, temperature)

    def _advance(self, walk: _Walk, state: State, then: Float[Tensor, ""], before: Float[Tensor, ""] | None) -> State:
        first = walk.step(state, state.estimate, then)
        at_end = walk.ask(first, then, state.estimate).estimate
        mean = replace(state.estimate, pos=(state.estimate.pos + at_end.pos) / 2)
        return walk.ask(first.replace(pos=walk.step(state, mean, then).pos), then, at_end)


@dataclass(frozen=True)
class _Walk:
    """What stays the same from step to step."""

    denoiser: Denoiser
    process: MoleculeProcess
    noise: Noise
    context: Context
    options: StepOptions

    def ask(self, x: MolBatch, t: Float[Tensor, ""], previous: Prediction | None) -> State:
        """Call the denoiser, which is shown the previous estimate."""
        rows = _rows(t, x.mask)
        context = self.context if previous is None else replace(self.context, previous=previous)
        return State(x, t, self.process.estimate(x, self.denoiser(x, rows, context), rows), previous)

    def step(self, state: State, estimate: Prediction, then: Float[Tensor, ""]) -> MolBatch:
        """Go on to an earlier time."""
        rows = _rows(state.time, state.batch.mask), _rows(then, state.batch.mask)
        return self.process.step(state.batch, estimate, *rows, self.noise, self.options)


def _watched(state: State, watch: Watch | None) -> State:
    rows = None if watch is None else watch(state)
    return state if rows is None else state.take(rows)


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


def _from(times: Float[Tensor, " T"], start: float) -> Float[Tensor, " S"]:
    """The times of a grid from one in between on."""
    return torch.cat([times.new_tensor([start]), times[times < start]])


def _rows(t: Float[Tensor, ""], mask: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
    """One time as a time per molecule."""
    return t.expand(mask.shape[0])
