"""`moldiff prepare-pocket`: one protein, with or without a ligand, as an entry of a folder of complexes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.chem.pocket import RADIUS, Pocket, select_pocket
from moldiff.chem.protein_atoms import Protein
from moldiff.chem.protein_files import read_protein
from moldiff.chem.vocabulary import DRUG_VOCABULARY
from moldiff.data.complex_folder import add_complex, check_new
from moldiff.data.complexes import read_ligand

_OVERLAP = 0.8  # Å; no two atoms are bonded at less
_NEAR = 6.0  # Å; what is not protein is told of if it is as near to the ligand

_logger = logging.getLogger(__name__)


def run_prepare_pocket(
    protein: Path,
    out: Path,
    ligand: Path | None = None,
    residues: Sequence[str] | None = None,
    center: Sequence[float] | None = None,
    radius: float = RADIUS,
    id: str | None = None,
    split: Literal["train", "val", "test"] | None = None,
) -> Path:
    """Add a pocket to a folder of complexes, from which a model is trained or molecules are sampled.

    Args:
        protein: .pdb or .cif file, which may be compressed (.gz).
        out: the folder; it is made if there is none.
        ligand: .sdf file of one molecule in the frame of the protein; the pocket is what is around it.
        residues: the residues of the pocket, such as A:123, in place of a ligand.
        center: x, y, z of its centre in Å, in place of a ligand.
        radius: residues with any heavy atom within this distance of the ligand or centre are taken, in Å.
        id: name of the entry; that of the ligand's file, or else of the protein's, if not given.
        split: part of the data that the entry belongs to; if no entry has one, the split is random.

    Returns:
        The folder of the entry.

    Raises:
        FileNotFoundError: if a file does not exist.
        FileExistsError: if there is an entry of this name.
        ValueError: if not exactly one of `ligand`, `residues` and `center` is given, a file cannot be used, no protein
            atom is near, or the ligand overlaps with the protein.
    """
    given = [name for name, value in (("ligand", ligand), ("residues", residues), ("center", center)) if value]
    if len(given) != 1:
        raise ValueError(
            f"Got {', '.join(given) or 'none'} of ligand, residues and center; expected exactly one of them"
        )
    if center and len(center) != 3:
        raise ValueError(f"got a center of {len(center)} numbers; expected x,y,z in Å")
    name = id or (ligand or protein).name.split(".")[0]
    check_new(out, name)
    whole = read_protein(protein)
    row: dict[str, object] = {"split": split or "", "source": protein.name}
    molecule, said = None, ""
    if ligand:
        arrays, mol = read_ligand(ligand)
        molecule = _without_hydrogens(arrays, name)
        pocket = select_pocket(whole.chains, arrays.positions, radius=radius)
        row |= {
            "smiles": Chem.MolToSmiles(molecule),
            "num_heavy_atoms": len(arrays),
            "min_distance": f"{_checked_distance(pocket, arrays.positions):.3f}",
        }
        dropped = mol.GetNumAtoms() - len(arrays)
        said = f"; ligand of {len(arrays)} heavy atoms ({dropped} hydrogens dropped)"
        _tell_of_others(whole, arrays.positions, besides=_OVERLAP)
    else:
        pocket = select_pocket(whole.chains, center, residues, radius)
        _tell_of_others(whole, pocket.positions if center is None else np.array(center))
    folder = add_complex(out, name, pocket, molecule, {**row, "num_pocket_residues": pocket.num_residues})
    sys.stdout.write(f"{name}: {pocket.num_residues} residues, {len(pocket)} atoms{said}; written to {folder}\n")
    return folder


def numbers(text: str) -> list[float]:
    """Numbers that are separated by commas.

    Raises:
        ValueError: if one is none.
    """
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise ValueError(f"Got {text!r}; expected x,y,z in Å, such as 12.5,-3,40.1") from error


def _without_hydrogens(arrays: MoleculeArrays, name: str) -> Chem.Mol:
    """The ligand as it is written, with stereochemistry from its coordinates."""
    mol = to_mol(arrays, hydrogens=False)
    Chem.SanitizeMol(mol)
    Chem.AssignStereochemistryFrom3D(mol)
    mol.SetProp("_Name", name)
    try:
        DRUG_VOCABULARY.element_index(arrays.atomic_numbers)
        DRUG_VOCABULARY.charge_index(arrays.charges)
    except ValueError as error:
        _logger.warning("The ligand cannot be trained on: %s", error)
    return mol


def _checked_distance(pocket: Pocket, points: NDArray[np.float64]) -> float:
    distances = pocket.distances(points)
    nearest = int(distances.argmin())
    if distances[nearest] < _OVERLAP:
        raise ValueError(
            f"The ligand overlaps with residue {pocket.residue_labels[nearest]} ({distances[nearest]:.2f} Å). Either "
            "it is in another frame of coordinates, or it is part of the protein's chains: remove it from that file"
        )
    return float(distances[nearest])


def _tell_of_others(protein: Protein, points: NDArray[np.float64], besides: float = 0.0) -> None:
    """Name metals, cofactors and the like near the points, but not what is nearer than `besides`: the ligand itself."""
    if not len(protein.others):
        return
    distances = protein.others.distances(points)
    near = np.flatnonzero((distances <= _NEAR) & (distances >= besides))
    if len(near):
        named = ", ".join(protein.others.residue_labels[k] for k in near[:10])
        _logger.warning("Not protein, so not in the pocket, but within %g Å: %s", _NEAR, named)
