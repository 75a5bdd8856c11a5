"""The frame in which molecules are noised and denoised: their own mean position at zero, their pocket moved along."""

from __future__ import annotations

from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import ComplexBatch, PocketBatch
from moldiff.nn.geometry import centred, mean_position


def centre(batch: MolBatch) -> MolBatch:
    """The same molecules with their mean positions at zero."""
    return batch.replace(pos=centred(batch.pos, batch.mask))


def own_frame(batch: MolBatch | ComplexBatch) -> tuple[MolBatch, PocketBatch | None]:
    """Centred molecules, and the pockets around them, if there are any."""
    if isinstance(batch, MolBatch):
        return centre(batch), None
    molecules, pocket = batch.molecules, batch.pocket
    return centre(molecules), pocket.replace(pos=pocket.pos - mean_position(molecules.pos, molecules.mask))
