"""Validity by a strict rule: a molecule counts only if it is one whole closed-shell molecule, with the bonds as given.

Bonds and formal charges are taken as they are (from an SDF file, say), in a Kekulé form, and hydrogens must be atoms.
The tests, in this order; the first that fails is the molecule's `Cause`:

1. there is a molecule, with atoms, and its coordinates (if any) are finite;
2. it has bonds, if it has more than one atom;
3. no atom has bonds beyond its valences, nor an element, charge or kind of bond that the rule does not know
   (`moldiff.chem.valence.STRICT_VALENCES`, by element and formal charge);
4. no atom has bonds missing (an open valence or a marked radical);
5. it is one fragment;
6. RDKit sanitizes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from rdkit import Chem, rdBase

from moldiff.chem.arrays import kekulized
from moldiff.chem.smiles import canonical_smiles
from moldiff.chem.valence import STRICT_VALENCES
from moldiff.metrics.novelty import HashSet
from moldiff.metrics.share import Share, requested_count

_ORDERS = {Chem.BondType.SINGLE: 1, Chem.BondType.DOUBLE: 2, Chem.BondType.TRIPLE: 3}


class Cause(StrEnum):
    """Why a molecule is not valid under the strict rule."""

    MISSING = "missing"  # nothing there: not generated, unreadable, no atoms, coordinates not finite
    NO_BONDS = "no bonds"
    VALENCE = "valence"  # too many bonds, or an unknown element, charge or kind of bond
    RADICAL = "radical"  # bonds are missing
    FRAGMENTS = "fragments"
    SANITIZE = "sanitize"  # RDKit refuses it: no Kekulé form, for example


@dataclass(frozen=True)
class StrictVerdict:
    """What the strict rule says of one molecule: either a cause or a SMILES."""

    cause: Cause | None
    smiles: str | None = None  # canonical, without hydrogens and stereochemistry; None = not valid
    net_charge: int = 0  # in e, of a valid molecule


@dataclass(frozen=True)
class StrictScores:
    """The scores of a set of molecules under the strict rule; each share names what it is a share of."""

    valid: Share  # of all requested molecules
    valid_and_unique: Share  # distinct valid ones, of all requested molecules
    valid_unique_and_novel: Share | None  # those not in the reference, of all requested; None without a reference
    unique: Share  # distinct valid ones, of the valid ones
    novel: Share | None  # not in the reference, of the distinct valid ones
    neutral: Share  # net charge 0, of the valid ones
    causes: dict[Cause, Share]  # the first test that failed, of all requested; with `valid` they make up 100 %

    @classmethod
    def of(
        cls, verdicts: Iterable[StrictVerdict], reference: HashSet | None = None, requested: int | None = None
    ) -> StrictScores:
        """Count the verdicts.

        Args:
            verdicts: one per molecule.
            reference: the `canonical_smiles` of the molecules that are not novel.
            requested: number of molecules that were asked for, if more than there are verdicts; the rest is `MISSING`.

        Raises:
            ValueError: if there are no molecules, or more than `requested`.
        """
        listed = list(verdicts)
        total = requested_count(len(listed), requested)
        listed += [StrictVerdict(Cause.MISSING)] * (total - len(listed))
        valid = [verdict.smiles for verdict in listed if verdict.smiles is not None]
        neutral = sum(verdict.smiles is not None and verdict.net_charge == 0 for verdict in listed)
        distinct = sorted(set(valid))
        novel = None if reference is None else len(distinct) - int(reference.contains(distinct).sum())
        return cls(
            valid=Share(len(valid), total, "requested"),
            valid_and_unique=Share(len(distinct), total, "requested"),
            valid_unique_and_novel=None if novel is None else Share(novel, total, "requested"),
            unique=Share(len(distinct), len(valid), "valid"),
            novel=None if novel is None else Share(novel, len(distinct), "unique"),
            neutral=Share(neutral, len(valid), "valid"),
            causes={c: Share(sum(v.cause is c for v in listed), total, "requested") for c in Cause},
        )


def strict_verdict(molecule: Chem.Mol | None) -> StrictVerdict:
    """Judge one molecule, sanitized or not, by the strict rule; it is not changed."""
    if molecule is None or molecule.GetNumAtoms() == 0:
        return StrictVerdict(Cause.MISSING)
    if molecule.GetNumConformers() and not np.isfinite(molecule.GetConformer().GetPositions()).all():
        return StrictVerdict(Cause.MISSING)
    if molecule.GetNumAtoms() > 1 and molecule.GetNumBonds() == 0:
        return StrictVerdict(Cause.NO_BONDS)
    bare = Chem.Mol(molecule)
    for atom in bare.GetAtoms():
        atom.SetNoImplicit(True)  # otherwise missing hydrogens would be filled in silently
    mol = kekulized(bare)
    if mol is None:
        return StrictVerdict(Cause.SANITIZE)
    cause = _valence_fault(mol)
    if cause is None and len(Chem.GetMolFrags(mol)) > 1:
        cause = Cause.FRAGMENTS
    if cause is not None:
        return StrictVerdict(cause)
    with rdBase.BlockLogs():
        if Chem.SanitizeMol(mol, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
            return StrictVerdict(Cause.SANITIZE)
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return StrictVerdict(Cause.RADICAL)
    return StrictVerdict(None, canonical_smiles(mol), Chem.GetFormalCharge(mol))


@dataclass(frozen=True)
class AtomFault:
    """One atom that the strict rule does not accept."""

    atom: int  # its place in the molecule
    cause: Cause  # VALENCE or RADICAL
    text: str  # "4 bonds, expected 3"


def atom_faults(mol: Chem.Mol) -> list[AtomFault]:
    """Atoms of a molecule in a Kekulé form with too many or too few bonds, of unknown kinds, or marked as radicals."""
    bonds, faults = [0] * mol.GetNumAtoms(), []
    for bond in mol.GetBonds():
        order = _ORDERS.get(bond.GetBondType())
        for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()):
            if order is None:
                faults.append(AtomFault(atom, Cause.VALENCE, f"a bond of kind {str(bond.GetBondType()).lower()}"))
            else:
                bonds[atom] += order
    for atom, total in zip(mol.GetAtoms(), bonds, strict=True):
        place, charge = atom.GetIdx(), atom.GetFormalCharge()
        allowed = STRICT_VALENCES.get((atom.GetAtomicNum(), charge))
        if allowed is None:
            unknown = (
                f"charge {charge:+d}, which the rule does not know" if charge else "no valence that the rule knows"
            )
            faults.append(AtomFault(place, Cause.VALENCE, unknown))
        elif total not in allowed:
            cause = Cause.VALENCE if total > max(allowed) else Cause.RADICAL
            expected = " or ".join(map(str, sorted(allowed)))
            charged = f" at charge {charge:+d}" if charge else ""
            faults.append(
                AtomFault(place, cause, f"{total} bond{'' if total == 1 else 's'}{charged}, expected {expected}")
            )
        elif atom.GetNumRadicalElectrons():
            faults.append(AtomFault(place, Cause.RADICAL, "marked as a radical"))
    return faults


def _valence_fault(mol: Chem.Mol) -> Cause | None:
    causes = {fault.cause for fault in atom_faults(mol)}
    return Cause.VALENCE if Cause.VALENCE in causes else Cause.RADICAL if causes else None
