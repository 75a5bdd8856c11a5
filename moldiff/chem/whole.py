"""Whether drawn atoms and bonds make one whole molecule."""

from __future__ import annotations

from rdkit import Chem, rdBase

from moldiff.chem.arrays import MoleculeArrays, sanitized, to_mol


def is_whole(arrays: MoleculeArrays, hydrogens: bool = True) -> bool:
    """Whether RDKit sanitizes the molecule, and it is one piece without radicals; `hydrogens` as in `to_mol`."""
    with rdBase.BlockLogs():
        mol = sanitized(to_mol(arrays, hydrogens))
    if mol is None or len(Chem.GetMolFrags(mol)) != 1:
        return False
    return not any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())
