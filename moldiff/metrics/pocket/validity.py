"""Strict validity of molecules without hydrogen atoms, as generators for pockets make them."""

from __future__ import annotations

from rdkit import Chem, rdBase

from moldiff.metrics.strict import Cause, StrictVerdict, strict_verdict


def design_verdict(molecule: Chem.Mol | None) -> StrictVerdict:
    """Judge a molecule of heavy atoms by the strict rule; it is not changed.

    Valences that are open are filled with hydrogens, as everywhere where molecules are drawn without them; then the
    strict rule (`moldiff.metrics.strict`) is applied as it is: bonds in a Kekulé form and charges as given, no valence
    exceeded, one fragment, no marked radical, RDKit sanitizes. What this cannot see is a bond that is missing: it looks
    like a hydrogen. A molecule that has any hydrogen atoms is taken to have all of them.
    """
    if molecule is None or molecule.GetNumAtoms() == 0 or any(a.GetAtomicNum() == 1 for a in molecule.GetAtoms()):
        return strict_verdict(molecule)
    if molecule.GetNumAtoms() > 1 and molecule.GetNumBonds() == 0:
        return strict_verdict(molecule)
    filled = Chem.Mol(molecule)
    with rdBase.BlockLogs():
        if any(bond.GetIsAromatic() for bond in filled.GetBonds()):
            try:
                Chem.Kekulize(filled, clearAromaticFlags=True)
            except (ValueError, RuntimeError):
                return StrictVerdict(Cause.SANITIZE)
        filled.UpdatePropertyCache(strict=False)
        return strict_verdict(Chem.AddHs(filled))


def sanitized(molecule: Chem.Mol) -> Chem.Mol:
    """A sanitized copy of a valid molecule, with its stereochemistry taken from the coordinates.

    Raises:
        ValueError: if RDKit cannot sanitize it.
    """
    mol = Chem.Mol(molecule)
    with rdBase.BlockLogs():
        Chem.SanitizeMol(mol)
        Chem.AssignStereochemistryFrom3D(mol)
    return mol
