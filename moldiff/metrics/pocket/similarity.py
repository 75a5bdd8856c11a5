"""How much a molecule resembles known ligands."""

from __future__ import annotations

from collections.abc import Sequence

from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator


def max_similarity(mol: Chem.Mol, known: Sequence[Chem.Mol]) -> float:
    """The largest Tanimoto similarity of Morgan fingerprints (radius 2, 2048 bits) to the known molecules, 0 to 1.

    Args:
        mol: sanitized, with or without explicit hydrogens.
        known: sanitized molecules.

    Raises:
        ValueError: if no molecule is known.
    """
    if not known:
        raise ValueError("Got no known molecules; expected at least one to compare with")
    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint
    similarities = DataStructs.BulkTanimotoSimilarity(
        make(Chem.RemoveHs(mol)), [make(Chem.RemoveHs(other)) for other in known]
    )
    return float(max(similarities))
