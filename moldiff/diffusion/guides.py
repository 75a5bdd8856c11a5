"""Energies for gradient guidance: see `moldiff.diffusion.guidance`.

Those here are scaled such that with `scale` = 1 the shift of one clean estimate would bring it to its aim, if no bound
held it back; for a function of your own, the scale is whatever it is multiplied with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from rdkit.Chem import GetPeriodicTable
from torch import Tensor

from moldiff.chem.pocket import Pocket
from moldiff.chem.residues import class_atomic_numbers
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import PocketBatch
from moldiff.diffusion.regressor import Regressor
from moldiff.models.denoiser import Prediction
from moldiff.nn.geometry import centred

OVERLAP = 0.5  # Å that van der Waals spheres may overlap before it counts as a clash (Harris et al. 2023, PoseCheck)
_EPSILON = 1e-6  # Å^2; keeps gradients of distances finite


@dataclass(frozen=True)
class RadiusOfGyration:
    """Asks for molecules of a given extent: the root mean square distance of the atoms from their mean."""

    target: float  # Å
    scale: float = 1.0

    def __call__(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """See `Guide`."""
        count = mask.sum(1)
        square = centred(estimate.pos, mask).square().sum((1, 2)) / count
        return self.scale * count / 2 * (torch.sqrt(square + _EPSILON) - self.target).square()


@dataclass(frozen=True)
class AtomDistance:
    """Asks for a distance between two atoms of each molecule, such as two fixed atoms, or a fixed and a new one."""

    first: int  # place of an atom, from 0; fixed atoms are the first
    second: int
    target: float  # Å
    scale: float = 1.0

    def __call__(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """See `Guide`; molecules without these atoms have no energy.

        Raises:
            ValueError: if no molecule can have these atoms.
        """
        if not (0 <= self.first < mask.shape[1] and 0 <= self.second < mask.shape[1] and self.first != self.second):
            raise ValueError(
                f"a distance between the atoms {self.first} and {self.second} was asked for: got a molecule of "
                f"{mask.shape[1]} atoms, counted from 0; give two of them, or a larger num_atoms"
            )
        way = estimate.pos[:, self.first] - estimate.pos[:, self.second]
        miss = torch.sqrt(way.square().sum(-1) + _EPSILON) - self.target
        return self.scale / 4 * miss.square() * (mask[:, self.first] & mask[:, self.second])


@dataclass(frozen=True)
class PredictedProperty:
    """Asks for a value of a property that a regressor predicts, such as the one that `qm9_conditional` brings.

    The energy is `scale` times the squared deviation in standard deviations of the regressor's training data.
    """

    regressor: Regressor
    name: str
    target: float  # in the property's unit
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a property that the regressor does not predict."""
        known = self.regressor.network.properties
        if self.name not in known:
            raise ValueError(f"the regressor predicts {', '.join(known)}: got {self.name!r}; ask for one of these")

    def __call__(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """See `Guide`.

        Raises:
            ValueError: if the model has other elements than the regressor knows (their number is looked at).
        """
        network, moments = self.regressor.network, self.regressor.statistics.properties[self.name]
        place, types = next(network.parameters()).device, estimate.atom_types
        if types is None or types.shape[-1] != network.num_elements:
            known = ", ".join(self.regressor.statistics.vocabulary.elements)
            got = "none" if types is None else types.shape[-1]
            raise ValueError(f"the regressor knows {known}: got a model of {got} elements; take one of the same data")
        found: Tensor = network(MolBatch(estimate.pos.to(place), types.to(place), None, None, mask.to(place)))
        wanted = (self.target - moments.mean) / moments.std
        miss = found[:, network.properties.index(self.name)].to(mask.device) - wanted
        return self.scale * miss * miss


class PocketClashes:
    """Pushes atoms out of the heavy atoms of a pocket, the same for all molecules, or of one pocket for each.

    The energy of a pair is half the square of what its van der Waals spheres overlap beyond `OVERLAP`. Radii are
    RDKit's, as in PoseBusters; an atom of unknown element has the mean of its probabilities.
    """

    def __init__(self, pocket: Pocket | PocketBatch, vocabulary: Vocabulary, scale: float = 1.0) -> None:
        """What is to be left free.

        Args:
            pocket: of all molecules; a batch: of B molecules, row by row, in their frame, where a sampler is called
                with these molecules (`MoleculeGenerator.sample` draws them in another order: give it one pocket).
            vocabulary: that of the model.
            scale: factor of the energy.

        Raises:
            ValueError: if the pockets of a batch are residues, whose atoms are not known.
        """
        self.scale = scale
        with torch.inference_mode(False):  # what is made in inference mode cannot be differentiated
            self.class_radii = _radii(vocabulary.atomic_numbers)
            if isinstance(pocket, Pocket):
                self.pos = torch.tensor(pocket.positions, dtype=torch.float32)[None]
                self.radii = _radii(pocket.atomic_numbers.tolist())[None]
            elif pocket.level == "atom":
                self.pos, radii = pocket.pos.clone(), _radii(class_atomic_numbers()).to(pocket.pos)
                self.radii = torch.where(pocket.mask, radii[pocket.types], -torch.inf)
            else:
                raise ValueError("clashes need the atoms of a pocket: got residues; take pockets at atom level")

    def __call__(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """See `Guide`.

        Raises:
            ValueError: if the model has no atom types.
        """
        if estimate.atom_types is None:
            raise ValueError("clashes depend on elements: got a model without atom_types; take one that has them")
        pos, radii, class_radii = (x.to(estimate.pos) for x in (self.pos, self.radii, self.class_radii))
        way = estimate.pos[:, :, None] - pos[:, None]
        distance = torch.sqrt(way.square().sum(-1) + _EPSILON)
        overlap = (estimate.atom_types @ class_radii)[..., None] + radii[:, None] - OVERLAP - distance
        return self.scale / 2 * (overlap.clamp(min=0).square() * mask[..., None]).sum((1, 2))


def _radii(atomic_numbers: Iterable[int]) -> Tensor:
    """Van der Waals radii, Å; of an unknown element (0) as of carbon."""
    table = GetPeriodicTable()
    return torch.tensor([table.GetRvdw(z or 6) for z in atomic_numbers])
