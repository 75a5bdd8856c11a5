"""Training: the LightningModule and its callbacks."""

from moldiff.training.module import DiffusionModule
from moldiff.training.property_module import PropertyModule
from moldiff.training.sample_scores import SampleScores
from moldiff.training.throughput import Throughput

__all__ = ["DiffusionModule", "PropertyModule", "SampleScores", "Throughput"]
