"""SMILES: the canonical one by which molecules are compared, and molecules from a list of them."""

from __future__ import annotations

from rdkit import Chem, rdBase

LONGEST = 2000
"""Characters of a SMILES; those of drugs have some hundred."""


def mol_from_smiles(smiles: str) -> Chem.Mol | None:
    """The molecule with all hydrogens as atoms and Kekulé bonds, without coordinates; None if RDKit refuses it.

    So is None for a text of more than `LONGEST` characters, on which RDKit may work for hours.
    """
    if len(smiles) > LONGEST:
        return None
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None or mol.GetNumAtoms() == 0:
            return None
        mol = Chem.AddHs(mol)
        Chem.Kekulize(mol, clearAromaticFlags=True)
    return mol


def canonical_smiles(mol: Chem.Mol) -> str:
    """The canonical SMILES by which two molecules are the same: no stereochemistry, no explicit hydrogens.

    Isotopes and atom map numbers do not matter: a deuterium is a hydrogen.

    Args:
        mol: a sanitized molecule; it is not changed.
    """
    copy = Chem.Mol(mol)
    for atom in copy.GetAtoms():  # RDKit keeps hydrogens that bear a label, and writes map numbers
        atom.SetIsotope(0)
        atom.SetAtomMapNum(0)
    # RDKit keeps the hydrogens that define the stereochemistry of an imine, so stereochemistry must go first.
    Chem.RemoveStereochemistry(copy)
    with rdBase.BlockLogs():
        return str(Chem.MolToSmiles(Chem.RemoveHs(copy), isomericSmiles=False))
