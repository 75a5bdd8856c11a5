"""From a SMILES to a molecule in 3D: distance geometry, then a force field."""

from __future__ import annotations

from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from moldiff.chem.ligand import MAX_ATOMS, Ligand, UnsuitableLigandError, prepare_ligand
from moldiff.chem.smiles import LONGEST

_ATTEMPTS = 20  # of the distance geometry; molecules that need more are strained or impossible
_ITERATIONS = 200  # of the force field


def embed_smiles(smiles: str, seed: int) -> Chem.Mol:
    """One conformer with hydrogens: ETKDGv3 (Wang et al. 2020), then MMFF94, or UFF where MMFF94 lacks parameters.

    Stereo that the SMILES leaves open is chosen by the seed. It is a local minimum, not the best conformer.

    Raises:
        UnsuitableLigandError: if RDKit rejects the SMILES or finds no coordinates.
    """
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles) if len(smiles) <= LONGEST else None
        if mol is None:
            raise UnsuitableLigandError("RDKit rejects it")
        if mol.GetNumHeavyAtoms() > MAX_ATOMS:  # before it takes hours
            raise UnsuitableLigandError(f"more than {MAX_ATOMS} heavy atoms")
        mol = Chem.AddHs(mol)
        settings = rdDistGeom.ETKDGv3()
        settings.randomSeed = seed  # type: ignore[assignment]  # RDKit's stubs are wrong here
        settings.maxIterations = _ATTEMPTS  # type: ignore[assignment]
        if rdDistGeom.EmbedMolecule(mol, settings) < 0:
            raise UnsuitableLigandError("no conformer was found")
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
            rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=_ITERATIONS)
        elif rdForceFieldHelpers.UFFHasAllMoleculeParams(mol):
            rdForceFieldHelpers.UFFOptimizeMolecule(mol, maxIters=_ITERATIONS)
        else:
            raise UnsuitableLigandError("no force field has parameters for it")
    return mol


def embedded_or_reason(smiles_and_seed: tuple[str, int]) -> Ligand | str:
    """Embed and prepare a ligand in another process: the reason in place of an exception."""
    try:
        return prepare_ligand(embed_smiles(*smiles_and_seed))
    except UnsuitableLigandError as error:
        return str(error)
