"""Denoisers: one architecture per file."""

from moldiff.models.autoencoder import Autoencoder, LatentDenoiser
from moldiff.models.denoiser import Context, Denoiser, EncodedProperties, Prediction
from moldiff.models.egnn import EGNN
from moldiff.models.graph_transformer import EquivariantGraphTransformer
from moldiff.models.pocket_encoder import EncodedPocket, PocketEncoder
from moldiff.models.property_regressor import PropertyRegressor
from moldiff.models.tensor_field_network import TensorFieldNetwork

__all__ = [
    "EGNN",
    "Autoencoder",
    "Context",
    "Denoiser",
    "EncodedPocket",
    "EncodedProperties",
    "EquivariantGraphTransformer",
    "LatentDenoiser",
    "PocketEncoder",
    "Prediction",
    "PropertyRegressor",
    "TensorFieldNetwork",
]
