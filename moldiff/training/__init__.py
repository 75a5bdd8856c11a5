"""Training: the LightningModule and its callbacks."""

from moldiff.training.atomic_checkpoint import AtomicCheckpointIO
from moldiff.training.distillation_module import DistillationModule
from moldiff.training.likelihood import Likelihood
from moldiff.training.module import DiffusionModule
from moldiff.training.property_module import PropertyModule
from moldiff.training.run_bar import RunBar
from moldiff.training.sample_scores import SampleScores
from moldiff.training.throughput import Throughput

__all__ = [
    "AtomicCheckpointIO",
    "DiffusionModule",
    "DistillationModule",
    "Likelihood",
    "PropertyModule",
    "RunBar",
    "SampleScores",
    "Throughput",
]
