"""Drug-like molecules from any source in one form: neutral where possible, heavy atoms only, with a sane geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import QED, rdMolDescriptors
from rdkit.Chem.MolStandardize import rdMolStandardize

from moldiff.chem.arrays import MoleculeArrays, from_mol, pair_indices, sanitized, to_mol
from moldiff.chem.assignment import covalent_radii
from moldiff.chem.connectivity import connectivity_key
from moldiff.chem.smiles import canonical_smiles
from moldiff.chem.vocabulary import DRUG_VOCABULARY

MIN_ATOMS, MAX_ATOMS = 6, 50  # heavy atoms
BOND_STRETCH = (0.7, 1.2)  # a bond's length may be so many times the sum of the covalent radii
CLOSEST = 1.7  # Å, atoms that are not bonded may come so near (bicyclo[1.1.1]pentane: 1.85)


class UnsuitableLigandError(ValueError):
    """A molecule is not used. The message is the reason in words that are the same for all such cases."""


@dataclass(frozen=True)
class Ligand:
    """A molecule of heavy atoms and what is known of it."""

    molecule: MoleculeArrays  # heavy atoms only
    smiles: str  # canonical, without stereo and hydrogens
    key: int  # see moldiff.chem.connectivity
    qed: float  # drug-likeness from 0 to 1 (Bickerton et al. 2012)
    logp: float  # octanol-water partition coefficient (Wildman & Crippen 1999)
    geometry: int = 0  # which of several given geometries was taken


def prepare_ligand(mol: Chem.Mol) -> Ligand:
    """Bring a molecule with a conformer into the common form; it is not changed.

    Acids and bases are neutralised by RDKit's `Uncharger` (permanent charges stay), isotopes and stereo labels removed,
    hydrogens dropped.

    Raises:
        UnsuitableLigandError: if RDKit rejects it, it is more than one fragment or a radical, has fewer than
            `MIN_ATOMS` or more than `MAX_ATOMS` heavy atoms, elements or charges outside `DRUG_VOCABULARY`, its bond
            lengths are off or atoms clash, or its hydrogens do not follow from the bonds of the heavy atoms.
    """
    with rdBase.BlockLogs():
        neutral = _neutral(mol)
        _check_atoms(neutral)
        try:
            molecule = from_mol(neutral, hydrogens=False)
        except ValueError as error:
            raise UnsuitableLigandError("no 3D coordinates or no Kekulé form") from error
        _check_geometry(molecule)
        smiles = canonical_smiles(neutral)
        filled = sanitized(to_mol(molecule, hydrogens=False))
        if filled is None or canonical_smiles(filled) != smiles:
            raise UnsuitableLigandError("hydrogens do not follow from the bonds")
        qed = float(QED.qed(neutral))  # type: ignore[no-untyped-call]
        logp, _ = rdMolDescriptors.CalcCrippenDescriptors(neutral)
        return Ligand(molecule, smiles, connectivity_key(neutral), qed, logp)


def prepare_arrays(geometries: Sequence[MoleculeArrays]) -> Ligand | str:
    """The first of several geometries of one molecule of heavy atoms that is suitable, or why the first is not."""
    reasons = []
    for number, arrays in enumerate(geometries):
        try:
            ligand = prepare_ligand(to_mol(arrays, hydrogens=False))
        except UnsuitableLigandError as error:
            reasons.append(str(error))
        else:
            return Ligand(**{**ligand.__dict__, "geometry": number})
    return reasons[0]


def prepared_or_reason(mol: Chem.Mol | None) -> Ligand | str:
    """`prepare_ligand` for work in other processes: the reason in place of an exception."""
    if mol is None:
        return "RDKit cannot read it"
    try:
        return prepare_ligand(mol)
    except UnsuitableLigandError as error:
        return str(error)


def _neutral(mol: Chem.Mol) -> Chem.Mol:
    """Sanitized, neutralised, without hydrogens, isotopes and stereo labels."""
    clean = sanitized(mol)
    if clean is None:
        raise UnsuitableLigandError("RDKit rejects it")
    for atom in clean.GetAtoms():
        atom.SetIsotope(0)
    Chem.RemoveStereochemistry(clean)
    try:
        clean = sanitized(rdMolStandardize.Uncharger().uncharge(Chem.RemoveHs(clean)))
    except (Chem.MolSanitizeException, RuntimeError) as error:
        raise UnsuitableLigandError("RDKit cannot neutralise it") from error
    if clean is None:
        raise UnsuitableLigandError("RDKit cannot neutralise it")
    return clean


def _check_atoms(mol: Chem.Mol) -> None:
    if not MIN_ATOMS <= mol.GetNumHeavyAtoms() <= MAX_ATOMS:
        size = f"fewer than {MIN_ATOMS}" if mol.GetNumHeavyAtoms() < MIN_ATOMS else f"more than {MAX_ATOMS}"
        raise UnsuitableLigandError(f"{size} heavy atoms")
    if len(Chem.GetMolFrags(mol)) > 1:
        raise UnsuitableLigandError("more than one fragment")
    if not {atom.GetSymbol() for atom in mol.GetAtoms()} <= set(DRUG_VOCABULARY.elements):
        raise UnsuitableLigandError("an element outside the vocabulary")
    if not {atom.GetFormalCharge() for atom in mol.GetAtoms()} <= set(DRUG_VOCABULARY.charges):
        raise UnsuitableLigandError("a formal charge outside the vocabulary")
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise UnsuitableLigandError("radical")


def _check_geometry(molecule: MoleculeArrays) -> None:
    assert molecule.bond_orders is not None
    i, j = pair_indices(len(molecule))
    lengths = np.linalg.norm(molecule.positions[i] - molecule.positions[j], axis=1)
    if not np.isfinite(lengths).all():
        raise UnsuitableLigandError("coordinates are not finite")
    bonded = molecule.bond_orders > 0
    radii = covalent_radii()[molecule.atomic_numbers]
    stretch = (lengths / (radii[i] + radii[j]))[bonded]
    if stretch.min() < BOND_STRETCH[0] or stretch.max() > BOND_STRETCH[1]:
        raise UnsuitableLigandError("bond lengths are off")
    if lengths[~bonded].min(initial=np.inf) < CLOSEST:
        raise UnsuitableLigandError("atoms clash")
