"""Training: the LightningModule and its callbacks."""

from moldiff.training.module import DiffusionModule
from moldiff.training.throughput import Throughput

__all__ = ["DiffusionModule", "Throughput"]
