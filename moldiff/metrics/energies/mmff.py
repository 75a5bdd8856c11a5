"""Relaxation under MMFF94 (Halgren 1996), RDKit's force field for small molecules."""

from __future__ import annotations

from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from moldiff.chem.arrays import sanitized
from moldiff.metrics.energies.relaxation import Relaxation, superposed_rmsd

_MAX_ITERATIONS = 2000


def mmff_relaxation(mol: Chem.Mol) -> Relaxation:
    """Relax a molecule with explicit hydrogens and coordinates, sanitized or not; it is not changed.

    Real molecules relax as well: DFT geometries of QM9 by 6 kcal/mol and 0.19 Å on average.

    Raises:
        ValueError: if RDKit does not sanitize the molecule, or MMFF94 has no parameters for it.
    """
    relaxed = sanitized(mol)
    if relaxed is None:
        raise ValueError("RDKit does not sanitize the molecule")
    with rdBase.BlockLogs():
        parameters = rdForceFieldHelpers.MMFFGetMoleculeProperties(relaxed)
        if parameters is None:
            raise ValueError("MMFF94 has no parameters for it")
        field = rdForceFieldHelpers.MMFFGetMoleculeForceField(relaxed, parameters)
        field.Initialize()
        start = field.CalcEnergy()
        converged = field.Minimize(maxIts=_MAX_ITERATIONS) == 0
    rmsd = superposed_rmsd(mol.GetConformer().GetPositions(), relaxed.GetConformer().GetPositions())
    return Relaxation(start - field.CalcEnergy(), rmsd, converged)
