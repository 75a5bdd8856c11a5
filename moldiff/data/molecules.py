"""From batches back to single molecules."""

from __future__ import annotations

import numpy as np

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch


def to_arrays(batch: MolBatch, vocabulary: Vocabulary) -> list[MoleculeArrays]:
    """The molecules of a batch without padding; without charges they are neutral, without bonds these are unknown."""
    elements, charges = np.array(vocabulary.atomic_numbers), np.array(vocabulary.charges)
    if batch.atom_types is None:
        raise ValueError("the batch has no atom types: molecules need elements; add a process for atom_types")
    pos, types = batch.pos.double().cpu().numpy(), batch.atom_types.cpu().numpy()
    charge = None if batch.charges is None else batch.charges.cpu().numpy()
    bonds = None if batch.bond_types is None else batch.bond_types.to("cpu").numpy().astype(np.int8)
    molecules = []
    for row, n in enumerate(batch.num_atoms.tolist()):
        molecules.append(
            MoleculeArrays(
                elements[types[row, :n]],
                pos[row, :n],
                np.zeros(n, dtype=np.int64) if charge is None else charges[charge[row, :n]],
                None if bonds is None else bonds[row, : n * (n - 1) // 2],
            )
        )
    return molecules
