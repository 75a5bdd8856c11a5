"""One training step of a contender, without Lightning around it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from benchmarks.contenders import Contender
from moldiff.data.batch import MolBatch
from moldiff.diffusion.frame import own_frame
from moldiff.diffusion.noise import StreamNoise
from moldiff.training.muon import MuonAdamW


class Trainer:
    """Takes the steps that `moldiff fit` takes: centre, corrupt, estimate (every other step), loss, clip, update."""

    def __init__(self, contender: Contender, lr: float = 2e-3) -> None:
        self.contender, self.module = contender, contender.module.train()
        self.optimizer = MuonAdamW(self.module.denoiser.named_parameters(), lr=lr)
        self.steps = 0

    def step(self, batch: MolBatch) -> float:
        """Train on one batch; returns the loss."""
        noise = StreamNoise(torch.Generator().manual_seed(self.steps))
        conditioned = self.module.denoiser.self_conditioning and self.steps % 2 == 0
        with self.contender.arithmetic():
            losses, _ = self.module.losses(own_frame(batch)[0], noise, conditioned)
            loss = torch.stack([value.mean() for value in losses.values()]).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.module.denoiser.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps += 1
        return float(loss.detach())

    def seconds(self, batches: Sequence[MolBatch]) -> float:
        """Time for these batches."""
        start = time.perf_counter()
        for batch in batches:
            self.step(batch)
        return time.perf_counter() - start
