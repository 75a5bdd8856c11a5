"""Denoisers: one architecture per file."""

from moldiff.models.denoiser import Context, Denoiser, Prediction
from moldiff.models.graph_transformer import EquivariantGraphTransformer

__all__ = ["Context", "Denoiser", "EquivariantGraphTransformer", "Prediction"]
