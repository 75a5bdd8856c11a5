"""Steering by any function of molecules: populations that are selected, noised part of the way and denoised again."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from rdkit import Chem
from torch import Tensor

from moldiff.chem.rewards import Reward, reward_by_name
from moldiff.data.batch import MolBatch
from moldiff.diffusion.grid import TimeGrid
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.diffusion.rounds import chosen
from moldiff.diffusion.sampler import MoleculeProcess, Sampler, Start

PROPERTIES = "properties"
"""The reward of molecules that come near to what they are asked for."""

_PARTICLE, _SECOND = 2**40, 2**60  # what makes keys of random numbers differ between particles, and between stages


@dataclass(frozen=True)
class Steering:
    """What drawn molecules are rewarded for, and how hard a high reward is looked for.

    Each molecule is the best of a population that passes through the laws p(x) exp(reward(x) / T) with falling T, where
    p is the model's own law without invalid molecules (sequential Monte Carlo with moves, Gilks & Berzuini 2001 and Del
    Moral 2006; potentials as in Feynman-Kac steering, Singhal 2025). A round resamples the population in proportion to
    its weights; then each particle is noised part of the way and denoised again, and the new molecule is taken by the
    rule of Metropolis. This happens on a coarse grid of the times in which the molecular graph is decided; only the
    winner is denoised to the end. Invalid molecules have less reward than all others.

    reward: a function of a sanitized RDKit molecule with coordinates (in a pocket: in the protein's frame), or "qed",
        "logp", "sa", "smarts:PATTERN" (see `reward_by_name`), or "properties": how near a molecule comes to the
        properties that it is asked for, by the model's own regressor. The larger the better; NaN counts as invalid.
    particles: molecules of a population.
    rounds: of selection; 0 leaves the best of the first population.
    temperature: T of the last round, in units of the reward: the lower, the greedier.
    window: times that a round goes over, from the higher to the lower: the higher the first, the larger the changes.
    """

    reward: Reward | str
    particles: int = 4
    rounds: int = 6
    temperature: float = 0.01
    window: tuple[float, float] = (0.55, 0.35)
    function: Reward = field(init=False, repr=False, compare=False)  # `reward`, if it is not given by name

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.particles < 1 or self.rounds < 0 or self.temperature <= 0:
            raise ValueError(
                f"steering needs particles >= 1, rounds >= 0, temperature > 0: got {self.particles}, {self.rounds}, "
                f"{self.temperature}; change them"
            )
        if not 0 < self.window[1] < self.window[0] < 1:
            raise ValueError(f"window must be two falling times between 1 and 0: got {self.window}; try (0.55, 0.35)")
        if self.reward != PROPERTIES:
            function = reward_by_name(self.reward) if isinstance(self.reward, str) else self.reward
            object.__setattr__(self, "function", function)

    def __call__(self, molecules: list[Chem.Mol | None]) -> Float[Tensor, " B"]:
        """The reward of each molecule, as float64; -inf for those that are None or have none.

        Raises:
            ValueError: if a reward is infinite.
        """
        values = [math.nan if mol is None else float(self.function(mol)) for mol in molecules]
        if any(map(math.isinf, values)):
            raise ValueError("a reward is infinite: return a finite number, or NaN for molecules without value")
        return torch.tensor(values, dtype=torch.float64).nan_to_num(nan=-torch.inf)


@dataclass(frozen=True)
class Population:
    """K particles for each of B molecules, after the last round."""

    batch: MolBatch  # P = B * K molecules
    rewards: Float[Tensor, " P"]  # -inf where invalid
    sizes: Float[Tensor, "B R"]  # effective sample size of the weights of each round, 1 to K
    noise: MoleculeNoise


@dataclass(frozen=True)
class Steered:
    """The best of each population."""

    batch: MolBatch
    rewards: Float[Tensor, " B"]  # of the finished molecules; -inf where invalid
    sizes: Float[Tensor, " B"]  # mean effective sample size; K if there were no rounds

    def notes(self) -> tuple[dict[str, str], ...]:
        """Rewards and effective sample sizes, as they are written to files."""
        values = zip(self.rewards.tolist(), self.sizes.tolist(), strict=True)
        return tuple({"moldiff_reward": f"{r:.6g}", "moldiff_sample_size": f"{n:.3g}"} for r, n in values)


@dataclass(frozen=True)
class Drawing:
    """How molecules are drawn without steering.

    draw: draws as many molecules as the noise has keys: sampler, steps, noise, noisy molecules to start from.
    read: makes sanitized RDKit molecules of a batch; None where one is invalid.
    nearness: the reward "properties" of each molecule of a batch, as float64 on the CPU; None for other rewards.
    """

    draw: Callable[[Sampler, int, MoleculeNoise, Start | None], MolBatch]
    read: Callable[[MolBatch], list[Chem.Mol | None]]
    process: MoleculeProcess
    sampler: Sampler
    num_steps: int
    nearness: Callable[[MolBatch], Float[Tensor, " P"]] | None = None

    def rewards(self, steering: Steering, batch: MolBatch) -> Float[Tensor, " P"]:
        """The reward of each molecule, as float64 on the CPU; -inf for those that are invalid or have none."""
        molecules = self.read(batch)
        if self.nearness is None:
            return steering(molecules)
        valid = torch.tensor([mol is not None for mol in molecules])
        return self.nearness(batch).masked_fill(~valid, torch.nan).nan_to_num(nan=-torch.inf)


def steer(steering: Steering, drawing: Drawing, seed: int, indices: Int[Tensor, " B"]) -> Steered:
    """Draw a molecule for each index, which depends on seed and index only."""
    found = evolve(steering, drawing, seed, indices)
    b, k, low = len(indices), steering.particles, steering.window[1]
    best = (found.rewards.reshape(b, k).argmax(1) + torch.arange(b) * k).to(indices.device)
    noise = found.noise.take(best)
    start = Start(_noised(drawing.process, found.batch.take(best), low, noise), low)
    batch = drawing.draw(drawing.sampler, drawing.num_steps, noise, start)
    sizes = found.sizes.mean(1) if steering.rounds else torch.full((b,), float(k))
    return Steered(batch, drawing.rewards(steering, batch), sizes)


def evolve(steering: Steering, drawing: Drawing, seed: int, indices: Int[Tensor, " B"]) -> Population:
    """The population of each index after all rounds; its law is p(x) exp(reward(x) / T) if there are many particles."""
    b, k, (high, low) = len(indices), steering.particles, steering.window
    keys = (indices[:, None] + torch.arange(k, device=indices.device) * _PARTICLE).flatten()
    coarse, short, noise = max(1, drawing.num_steps // 2), copy(drawing.sampler), MoleculeNoise(seed, keys + _SECOND)
    short.grid = _Until(short.grid, low)
    batch = drawing.draw(short, coarse, MoleculeNoise(seed, keys), None)
    rewards, sizes = drawing.rewards(steering, batch), []
    for number in range(1, steering.rounds + 1):
        weights = _weights(rewards.reshape(b, k) / (steering.temperature * steering.rounds))
        sizes.append(1 / weights.square().sum(1))
        rows = resample(weights, _uniform(noise, b, k)[:, 0])
        batch, rewards = batch.take(rows.to(indices.device)), rewards[rows]
        moved = drawing.draw(short, coarse, noise, Start(_noised(drawing.process, batch, high, noise), high))
        new, scale = drawing.rewards(steering, moved), steering.temperature * steering.rounds / number
        bold = _uniform(noise, b, k).flatten().log() < (new - rewards) / scale
        taken = bold | (rewards == -torch.inf)  # then there is nothing to lose
        batch, rewards = chosen(taken.to(indices.device), moved, batch), torch.where(taken, new, rewards)
    return Population(batch, rewards, torch.stack(sizes, 1) if sizes else rewards.new_zeros(b, 0), noise)


def resample(weights: Float[Tensor, "B K"], uniform: Float[Tensor, " B"]) -> Int[Tensor, " B*K"]:
    """Systematic resampling (Kitagawa 1996) of the K particles of each group, by one number in (0, 1) for each.

    A particle comes floor(K w) or ceil(K w) times, K w on average; with equal weights, each comes once. The rows of all
    groups' particles are returned.
    """
    b, k = weights.shape
    places = (uniform[:, None] + torch.arange(k)) / k
    rows = torch.searchsorted(weights.cumsum(1), places.to(weights.dtype), right=True).clamp(max=k - 1)
    return (rows + k * torch.arange(b)[:, None]).flatten()


class _Until(TimeGrid):
    """The steps of a grid down to some time; what the network says then is the result."""

    def __init__(self, grid: TimeGrid, last: float) -> None:
        self.grid, self.last = grid, last

    def __call__(self, num_steps: int) -> Float[Tensor, " T"]:
        times = self.grid(num_steps)
        return torch.cat([times[times >= self.last], times.new_zeros(1)])


def _weights(log_weights: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    """Normalised; equal where all are zero."""
    hopeless = (log_weights == -torch.inf).all(1, keepdim=True)
    return log_weights.masked_fill(hopeless, 0.0).softmax(1)


def _uniform(noise: MoleculeNoise, b: int, k: int) -> Float[Tensor, "B K"]:
    """A number for each particle, on the CPU."""
    return noise.uniform(torch.empty(b * k, 1, device=noise.key.device)).reshape(b, k).double().cpu()


def _noised(process: MoleculeProcess, batch: MolBatch, time: float, noise: MoleculeNoise) -> MolBatch:
    """Molecules noised to some time; coordinates that are no numbers become zeros, which can be aligned."""
    finite = batch.replace(pos=batch.pos.nan_to_num(0.0, 0.0, 0.0))
    return process.corrupt(finite, torch.full((len(batch),), time, device=batch.mask.device), noise)
