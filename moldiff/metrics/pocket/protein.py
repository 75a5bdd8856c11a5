"""The atoms of a protein pocket, read from a PDB file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from scipy.spatial import cKDTree

from moldiff.chem.files import read_text
from moldiff.chem.protein_files import check_pdb
from moldiff.chem.residues import standard_residue

_WATERS = frozenset({"HOH", "WAT", "DOD", "TIP", "H2O"})


@dataclass(frozen=True)
class Protein:
    """Heavy atoms of a protein, or of a pocket cut out of one, without waters; A atoms."""

    name: str
    mol: Chem.Mol  # atoms with residue information, no bonds, not sanitized
    positions: NDArray[np.float64]  # (A, 3) in Å
    elements: NDArray[np.int64]  # (A,) atomic numbers
    atom_names: tuple[str, ...]  # (A,) such as "CA"
    residue_names: tuple[str, ...]  # (A,) such as "HIS"
    residues: tuple[str, ...]  # (A,) chain and number of the residue of each atom, such as "A:57"

    def __getstate__(self) -> dict[str, Any]:
        """For another process: RDKit pickles coordinates in single precision unless it is asked not to."""
        wanted = Chem.PropertyPickleOptions.AllProps | Chem.PropertyPickleOptions.CoordsAsDouble
        return {**vars(self), "mol": self.mol.ToBinary(int(wanted))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, mol=Chem.Mol(state["mol"]))

    def near(self, positions: NDArray[np.float64], distance: float) -> Protein:
        """The residues with an atom within a distance (Å) of any of the positions (N, 3); all, if there are none."""
        to_ligand, _ = cKDTree(positions).query(self.positions, distance_upper_bound=distance)
        kept = {residue for residue, d in zip(self.residues, to_ligand, strict=True) if np.isfinite(d)}
        if not kept:
            return self
        return self._subset(np.array([residue in kept for residue in self.residues]))

    def check_apart(self, mol: Chem.Mol) -> None:
        """Whether a molecule was left in the file of the protein, where it would clash with every design.

        Raises:
            ValueError: if most heavy atoms of a molecule with coordinates lie on atoms that are no amino acid's.
        """
        heavy = np.array([atom.GetAtomicNum() > 1 for atom in mol.GetAtoms()], dtype=np.bool_)
        points = mol.GetConformer().GetPositions()[heavy]
        points = points[np.isfinite(points).all(1)]
        other = np.array([standard_residue(name) is None for name in self.residue_names])
        if len(points) and other.any() and (cKDTree(self.positions[other]).query(points)[0] < 0.5).mean() > 0.5:
            raise ValueError(
                f"{self.name}: got a pocket that holds the ligand itself; expected it without: remove the ligand's "
                "HETATM records from the file"
            )

    def others_near(self, positions: NDArray[np.float64], distance: float) -> str:
        """The first ten residues with an atom so near (Å) to positions (N, 3) that are no amino acids: "ATP A:501"."""
        if not len(positions):
            return ""
        to_positions, _ = cKDTree(positions).query(self.positions, distance_upper_bound=distance)
        found = {
            f"{self.residue_names[k]} {self.residues[k]}": None
            for k in np.flatnonzero(np.isfinite(to_positions)).tolist()
            if standard_residue(self.residue_names[k]) is None
        }
        return ", ".join(list(found)[:10])

    def _subset(self, mask: NDArray[np.bool_]) -> Protein:
        mol = Chem.RWMol(self.mol)
        mol.BeginBatchEdit()
        for index in np.flatnonzero(~mask).tolist():
            mol.RemoveAtom(index)
        mol.CommitBatchEdit()
        kept = np.flatnonzero(mask).tolist()
        return Protein(
            self.name,
            mol.GetMol(),
            self.positions[mask],
            self.elements[mask],
            tuple(self.atom_names[k] for k in kept),
            tuple(self.residue_names[k] for k in kept),
            tuple(self.residues[k] for k in kept),
        )


def read_protein(path: str | os.PathLike[str]) -> Protein:
    """Read the heavy atoms of a PDB file, without waters, and of alternative conformations the first.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if RDKit cannot read it, or it holds no atoms.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    text = read_text(path)
    if path.name.lower().removesuffix(".gz").endswith((".cif", ".mmcif")):
        raise ValueError(f"{path}: got an mmCIF file; expected a .pdb file: `moldiff prepare-pocket` makes one of it")
    check_pdb(path, text)
    with rdBase.BlockLogs():
        mol = Chem.MolFromPDBBlock(text, sanitize=False, removeHs=False, proximityBonding=False)
    if mol is None or mol.GetNumAtoms() == 0:
        raise ValueError(f"{path}: got no atoms; expected a PDB file of a protein or of a pocket, with ATOM records")
    return protein_from_mol(mol, path.name)


def protein_from_mol(mol: Chem.Mol, name: str = "pocket") -> Protein:
    """The same from an RDKit molecule whose atoms carry residue information; the molecule is not changed.

    Raises:
        ValueError: if an atom carries none, or there are no heavy atoms besides waters.
    """
    info = [atom.GetPDBResidueInfo() for atom in mol.GetAtoms()]
    if any(entry is None for entry in info):
        raise ValueError(f"{name}: got atoms without residue information; expected a molecule read from a PDB file")
    everything = Protein(
        name,
        mol,
        mol.GetConformer().GetPositions(),
        np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.int64),
        tuple(entry.GetName().strip() for entry in info),
        tuple(entry.GetResidueName().strip() for entry in info),
        tuple(_residue_label(entry) for entry in info),
    )
    heavy = everything.elements > 1
    wet = np.array([residue in _WATERS for residue in everything.residue_names])
    if not (heavy & ~wet).any():
        raise ValueError(f"{name}: got no heavy atoms besides waters; expected a protein or a pocket")
    return everything._subset(heavy & ~wet)


def _residue_label(info: Chem.AtomPDBResidueInfo) -> str:
    return f"{info.GetChainId().strip()}:{info.GetResidueNumber()}{info.GetInsertionCode().strip()}"
