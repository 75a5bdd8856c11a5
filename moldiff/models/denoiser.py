"""What a denoiser takes and gives: the abstraction that all networks share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import PocketBatch
from moldiff.models.pocket_encoder import EncodedPocket

FIELDS = ("pos", "atom_types", "charges", "bond_types")


@dataclass(frozen=True)
class Prediction:
    """What is said of each field of a noisy batch.

    As the output of a denoiser: `pos` in the parameterisation of its process (clean coordinates, noise or velocity;
    Å) and logits of the classes. As a *clean estimate* (after `JointProcess.estimate`): clean coordinates and class
    probabilities. A field that the denoiser does not predict is None.
    """

    pos: Float[Tensor, "B N 3"]
    atom_types: Float[Tensor, "B N K"] | None = None
    charges: Float[Tensor, "B N Q"] | None = None
    bond_types: Float[Tensor, "B P R"] | None = None  # packed pairs, see MolBatch

    def present(self) -> dict[str, Tensor]:
        """The fields that are not None, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    def take(self, rows: Int[Tensor, " C"]) -> Prediction:
        """What is said of some of the molecules, in this order; one may come several times."""
        return Prediction(**{name: value[rows] for name, value in self.present().items()})


@dataclass(frozen=True)
class EncodedProperties:
    """What A molecules are asked to be, as a network reads it: for each molecule, or one (A = 1) for all."""

    vectors: Float[Tensor, "A L D"]  # for each of L layers

    def take(self, rows: Int[Tensor, " C"]) -> EncodedProperties:
        """Those of some of the molecules, in this order; one may come several times."""
        return self if len(self.vectors) == 1 else EncodedProperties(self.vectors[rows])


@dataclass(frozen=True)
class Context:
    """What a denoiser may know besides the noisy molecules."""

    previous: Prediction | None = None  # self-conditioning: an earlier clean estimate of the same molecules
    pocket: PocketBatch | EncodedPocket | None = None  # in the frame of the noisy molecules
    properties: Float[Tensor, "A C"] | EncodedProperties | None = None  # see `Denoiser.properties`


class Denoiser(nn.Module, ABC):
    """A network that says what a noisy batch was before the noise.

    Promises: E(3) equivariance (coordinates are centred, turn and reflect with the input's; the rest is invariant),
    equivariance to the order of atoms, independence of the molecules in a batch, no influence of padding, and an
    unchanged input.
    """

    self_conditioning: bool = False  # whether `Context.previous` is read
    properties: Sequence[str] = ()  # what `Context.properties` holds: deviations from the mean, in std; NaN = not given
    optional: Sequence[str] = ()  # beginnings of names of weights that have no effect at first: others can lack them
    bears_bfloat16: bool = True  # whether its matrix products bear bfloat16; coordinates must not go through them
    blocks: nn.ModuleList  # the hidden layers, all of one kind: Muon trains their matrices, they may be compiled

    def prepare(self, context: Context) -> Context:
        """Compute once what does not change from step to step: pocket and properties are encoded.

        Raises:
            ValueError: if there is a pocket, and the denoiser knows nothing of pockets.
        """
        if context.pocket is not None:
            raise ValueError(
                f"{type(self).__name__} takes no pocket: use a model that was trained with pockets, or leave it out"
            )
        return context

    @abstractmethod
    def forward(self, noisy: MolBatch, t: Float[Tensor, " B"], context: Context | None = None) -> Prediction:
        """Predict every field of `noisy` at time `t` (0 = data, 1 = noise)."""


def as_features(field: Tensor | None, like: Tensor, width: int, entries: int) -> Float[Tensor, "B L K"]:
    """A field as real features: one-hot of class indices, a relaxation as it is, zeros if the field is absent.

    The index `width`, one past the classes, is the token of an absorbing process: zeros.
    """
    if field is None:
        return like.new_zeros(like.shape[0], entries, width)
    if field.is_floating_point():
        return field
    return F.one_hot(field, width + 1)[..., :width].to(like.dtype)
