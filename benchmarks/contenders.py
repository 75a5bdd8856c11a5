"""The networks that are compared: the default one, its first-draft form, EDM's and a tensor-field network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jsonargparse
import torch
import yaml

from benchmarks.edge_list import EdgeListEGNN
from benchmarks.full_matrix import FullMatrixTransformer
from moldiff.data.batch import MolBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion.model import SPEC_KEYS, ModelSpec, read_model
from moldiff.diffusion.noise import MoleculeNoise, StreamNoise
from moldiff.diffusion.precision import use_bfloat16
from moldiff.diffusion.size_prior import SizePrior
from moldiff.generator import BUNDLED
from moldiff.models.denoiser import Denoiser
from moldiff.training import DiffusionModule

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Contender:
    """A network with the arithmetic, the number of steps and the way of batching that it is meant to be run with."""

    name: str
    module: DiffusionModule
    bfloat16: bool
    num_steps: int
    padded: bool  # batches of mixed sizes, padded to the largest, as EDM's; otherwise of one size

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """Autocast, where the contender takes it."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            yield

    def mask(self, count: int, seed: int = 0) -> torch.Tensor:
        """The sizes of a batch to draw: from QM9, or all 18 atoms, about the mean."""
        sizes = torch.full((count,), 18)
        if self.padded:
            uniform = StreamNoise(torch.Generator().manual_seed(seed)).uniform(torch.empty(count))
            sizes = SizePrior(statistics().sizes)(uniform)
        return torch.arange(int(sizes.max()))[None] < sizes[:, None]

    def draw(self, mask: torch.Tensor, num_steps: int) -> MolBatch:
        """Draw molecules, without gradients."""
        model = self.module.model()
        model.denoiser.eval()
        with torch.inference_mode(), self.arithmetic():
            return model.sampler(
                model.denoiser, model.process, mask, num_steps, MoleculeNoise(0, torch.arange(len(mask)))
            )


def statistics() -> Statistics:
    """Of QM9, as the bundled model knows them."""
    return read_model(BUNDLED / "qm9").statistics


def contenders() -> dict[str, Contender]:
    """All of them, untrained (speed does not depend on the weights), by short names."""
    fast = use_bfloat16(torch.device("cpu"))
    built = [
        ("default", "default network", _module("qm9"), fast, 50, False),
        ("compiled", "default network, compiled", _module("qm9", compiled=True), fast, 50, False),
        ("full", "default network, N × N, float32", _module("qm9", FullMatrixTransformer), False, 50, False),
        ("egnn", "EGNN 9 × 256, 1,000 steps, in this package's form", _module("qm9_edm"), False, 1000, True),
        ("edm", "the same in EDM's form", _module("qm9_edm", EdgeListEGNN), False, 1000, True),
        ("tfn", "tensor-field network", _module("qm9_tfn"), fast, 50, False),
    ]
    return {key: Contender(*rest) for key, *rest in built}


def _module(config: str, network: type[Denoiser] | None = None, compiled: bool = False) -> DiffusionModule:
    """The module of a config, built for QM9's statistics; `network`: another class with the same arguments."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / "configs" / f"{config}.yaml").read_text())["model"]
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ModelSpec, None)
    spec = parser.instantiate(parser.parse_object({name: settings[name] for name in SPEC_KEYS}))
    denoiser: Callable[..., Any] = spec.denoiser
    if network is not None:
        arguments = settings["denoiser"]["init_args"]
        denoiser = partial(network, **arguments)
    torch.manual_seed(0)
    module = DiffusionModule(denoiser, spec.processes, spec.sampler, spec.num_steps)
    module.build(statistics())
    if compiled:
        torch._dynamo.config.recompile_limit = 32
        for block in module.denoiser.blocks:
            block.compile(dynamic=True)
    return module
