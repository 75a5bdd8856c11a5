"""The canonical SMILES by which molecules are compared."""

from __future__ import annotations

from rdkit import Chem, rdBase


def canonical_smiles(mol: Chem.Mol) -> str:
    """The canonical SMILES by which two molecules are the same: no stereochemistry, no explicit hydrogens.

    Args:
        mol: a sanitized molecule; it is not changed.
    """
    copy = Chem.Mol(mol)
    # RDKit keeps the hydrogens that define the stereochemistry of an imine, so stereochemistry must go first.
    Chem.RemoveStereochemistry(copy)
    with rdBase.BlockLogs():
        return str(Chem.MolToSmiles(Chem.RemoveHs(copy), isomericSmiles=False))
