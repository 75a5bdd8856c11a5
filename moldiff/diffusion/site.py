"""Where in a protein pocket molecules are built."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from rdkit import Chem
from torch import Tensor

from moldiff.chem.files import read_molecule
from moldiff.chem.pocket import Pocket, select_pocket
from moldiff.chem.protein_files import read_pocket
from moldiff.data.pocket_batch import Level, PocketBatch
from moldiff.data.pocket_table import PocketTable

AROUND_LIGAND, AROUND_CENTRE = 8.0, 12.0  # Å: the residues that a model sees


@dataclass(frozen=True)
class Site:
    """A place in a pocket: the mean position of the heavy atoms of new molecules."""

    pocket: PocketBatch  # one pocket, Å
    centre: Float[Tensor, "3"]  # Å, in the pocket's frame
    atoms: Pocket  # the heavy atoms of the pocket, whatever its level
    num_atoms: int | None = None  # heavy atoms of the reference ligand, if there is one


def find_site(
    pocket: str | os.PathLike[str] | Pocket,
    level: Level,
    reference_ligand: str | os.PathLike[str] | Chem.Mol | None = None,
    centre: Sequence[float] | None = None,
) -> Site:
    """The place of a reference ligand, or a point, with the residues around it.

    Args:
        pocket: a protein or a pocket, or its .pdb or .cif file.
        level: what the model sees of it.
        reference_ligand: a molecule in the same frame, or its .sdf file.
        centre: x, y, z in Å, if there is no reference ligand.

    Raises:
        ValueError: if a file cannot be read, not exactly one of ligand and centre is given, or no protein atom is near.
    """
    if (reference_ligand is None) == (centre is None):
        got = "none" if centre is None else "both"
        raise ValueError(f"got {got} of a reference ligand and a centre; expected one of them, to tell the place")
    protein = pocket if isinstance(pocket, Pocket) else read_pocket(pocket)
    points = np.array([centre], dtype=np.float64) if centre is not None else _heavy_atoms(reference_ligand)
    if points.shape[1:] != (3,) or not np.isfinite(points).all():
        raise ValueError(f"expected three finite coordinates as the centre: got {centre}")
    near = select_pocket(protein, points, radius=AROUND_CENTRE if reference_ligand is None else AROUND_LIGAND)
    return Site(
        PocketTable.from_pockets([near], level).batch([0]),
        torch.tensor(points.mean(0), dtype=torch.float32),
        near,
        None if reference_ligand is None else len(points),
    )


def _heavy_atoms(ligand: str | os.PathLike[str] | Chem.Mol | None) -> np.ndarray:
    """Positions (N, 3) of the heavy atoms."""
    mol = ligand
    if isinstance(ligand, str | os.PathLike):
        mol = read_molecule(ligand)
    if not isinstance(mol, Chem.Mol) or not mol.GetNumHeavyAtoms() or not mol.GetNumConformers():
        raise ValueError("the reference ligand has no heavy atoms with coordinates; give a molecule in 3D")
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    return np.asarray(mol.GetConformer().GetPositions()[heavy])
