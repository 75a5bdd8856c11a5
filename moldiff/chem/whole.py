"""Whether drawn atoms and bonds make one whole molecule."""

from __future__ import annotations

import numpy as np
from rdkit import Chem, rdBase

from moldiff.chem.arrays import MoleculeArrays, sanitized, to_mol


def whole_mol(arrays: MoleculeArrays, hydrogens: bool = True) -> Chem.Mol | None:
    """The sanitized molecule if it is one piece without radicals, else None; `hydrogens` as in `to_mol`."""
    if not np.isfinite(arrays.positions).all():
        return None
    with rdBase.BlockLogs():
        mol = sanitized(to_mol(arrays, hydrogens))
    if mol is None or len(Chem.GetMolFrags(mol)) != 1:
        return None
    return None if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()) else mol


def is_whole(arrays: MoleculeArrays, hydrogens: bool = True) -> bool:
    """Whether RDKit sanitizes the molecule, and it is one piece without radicals; `hydrogens` as in `to_mol`."""
    return whole_mol(arrays, hydrogens) is not None
