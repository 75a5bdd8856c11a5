"""All scores of one molecule in a pocket."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rdkit import Chem

from moldiff.chem import druglikeness
from moldiff.metrics.pocket.attempt import attempt
from moldiff.metrics.pocket.clashes import clashes
from moldiff.metrics.pocket.energies import pose_energies
from moldiff.metrics.pocket.interactions import Interactions, interactions
from moldiff.metrics.pocket.posebusters import posebusters_checks, posebusters_valid
from moldiff.metrics.pocket.protein import Protein
from moldiff.metrics.pocket.similarity import max_similarity
from moldiff.metrics.pocket.validity import design_verdict, sanitized
from moldiff.metrics.pocket.vina import VinaEnergies, VinaPocket
from moldiff.metrics.strict import Cause


@dataclass(frozen=True)
class PocketScores:
    """The scores of one requested molecule; None = not asked for, or it could not be computed."""

    cause: Cause | None = None  # why it is not valid under the strict rule; then nothing else is computed
    smiles: str | None = None  # canonical, without stereochemistry
    heavy_atoms: int | None = None
    qed: float | None = None
    sa: float | None = None  # (10 − score) / 9
    logp: float | None = None
    lipinski: int | None = None  # rules that hold, of 4
    similarity: float | None = None  # to the nearest known ligand
    strain: float | None = None  # kcal/mol
    clashes: int | None = None  # pairs of heavy atoms
    severe_clashes: int | None = None
    posebusters: Mapping[str, bool | None] | None = None  # verdict of each check; None = not evaluated
    posebusters_valid: bool | None = None
    vina_score: float | None = None  # kcal/mol
    vina_minimised: float | None = None
    vina_docked: float | None = None
    vina_failure: str | None = None
    failure: str | None = None  # why nothing could be computed at all: a program crashed; its cause is "missing"
    interactions: tuple[tuple[str, str], ...] | None = None  # (residue, kind)
    interaction_similarity: float | None = None  # to the reference ligand's

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.posebusters is not None:
            plain["posebusters"] = dict(self.posebusters)
        if self.interactions is not None:
            plain["interactions"] = [list(pair) for pair in self.interactions]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> PocketScores:
        """Undo `to_dict`.

        Raises:
            ValueError: if there are other entries.
        """
        values = dict(plain)
        names = {field.name for field in fields(cls)}
        if not values.keys() <= names:
            raise ValueError(f"Got scores {sorted(values.keys() - names)}; expected only {sorted(names)}")
        if values.get("cause") is not None:
            values["cause"] = Cause(values["cause"])
        if values.get("interactions") is not None:
            values["interactions"] = tuple((residue, kind) for residue, kind in values["interactions"])
        return cls(**values)


@dataclass(frozen=True)
class Scorer:
    """Scores molecules in one pocket; what it holds is prepared once.

    Args:
        protein: the pocket.
        vina: the pocket as Vina needs it; None leaves Vina's energies out.
        posebusters: whether to run PoseBusters' checks.
        known: ligands to compare with.
        reference: interactions to compare with.
        dock: whether to dock as well as to score and minimise.
        fast: leave out strain and PoseBusters' internal energy, which each need 50 conformers.
    """

    protein: Protein
    vina: VinaPocket | None = None
    posebusters: bool = True
    known: Sequence[Chem.Mol] = ()
    reference: Interactions | None = None
    dock: bool = False
    fast: bool = False

    def score(self, molecule: Chem.Mol | None) -> PocketScores:
        """The scores of a molecule with bonds and coordinates in Å in the frame of the pocket; it is not changed."""
        verdict = design_verdict(molecule)
        if verdict.cause is not None or molecule is None:
            return PocketScores(cause=verdict.cause)
        if molecule.GetNumConformers() == 0:
            return PocketScores(cause=Cause.MISSING)
        full = sanitized(molecule)
        mol = Chem.RemoveHs(full)
        overlap = attempt(clashes, mol, self.protein)
        found = attempt(interactions, mol, self.protein)
        uff = None if self.fast else attempt(pose_energies, full)
        checks = attempt(posebusters_checks, full, self.protein, uff) if self.posebusters else None
        energies = VinaEnergies() if self.vina is None else self.vina.energies(full, self.dock)
        return PocketScores(
            smiles=verdict.smiles,
            heavy_atoms=mol.GetNumHeavyAtoms(),
            qed=attempt(druglikeness.qed, mol),
            sa=attempt(druglikeness.sa, mol),
            logp=attempt(druglikeness.logp, mol),
            lipinski=attempt(druglikeness.lipinski, mol),
            similarity=attempt(max_similarity, mol, self.known) if self.known else None,
            strain=uff.strain if uff is not None and math.isfinite(uff.strain) else None,
            clashes=None if overlap is None else overlap.count,
            severe_clashes=None if overlap is None else overlap.severe,
            posebusters=checks,
            posebusters_valid=None if checks is None else posebusters_valid(checks),
            vina_score=energies.score,
            vina_minimised=energies.minimised,
            vina_docked=energies.docked,
            vina_failure=energies.failure,
            interactions=None if found is None else tuple(sorted(found.pairs)),
            interaction_similarity=(
                None if found is None or self.reference is None else found.similarity(self.reference)
            ),
        )


def reference_interactions(molecules: Sequence[Chem.Mol], protein: Protein) -> Interactions | None:
    """The interactions of a reference ligand; of several, those of any; None of none."""
    if not molecules:
        return None
    found = [interactions(mol, protein).pairs for mol in molecules]
    return Interactions(frozenset().union(*found))
