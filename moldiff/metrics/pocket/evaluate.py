"""Score molecules that were designed for a pocket."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from moldiff.chem.force_field import NEAR, is_near
from moldiff.metrics.parallel import as_done, number_of_workers
from moldiff.metrics.pocket.posebusters import require_posebusters
from moldiff.metrics.pocket.protein import Protein, read_protein
from moldiff.metrics.pocket.report import PocketReport
from moldiff.metrics.pocket.scores import PocketScores, Scorer, reference_interactions
from moldiff.metrics.pocket.settle import MAX_EXTENT
from moldiff.metrics.pocket.validity import design_verdict, sanitized
from moldiff.metrics.pocket.vina import VinaPocket
from moldiff.metrics.share import requested_count
from moldiff.metrics.strict import Cause

_SECONDS_FAST, _SECONDS, _SECONDS_DOCK = 1.0, 5.0, 30.0  # that a molecule takes, about
_LIMIT, _LIMIT_DOCK = 600.0, 3600.0  # seconds for a molecule
_ONE_PLACE = 10.0  # Å
_ONE_FRAME = "expected molecules in the pocket, and both files in one frame"


def evaluate_pocket(
    molecules: Sequence[Chem.Mol | None],
    pocket: str | os.PathLike[str] | Protein,
    reference_ligands: Sequence[Chem.Mol | None] = (),
    known_ligands: Sequence[Chem.Mol | None] | None = None,
    requested: int | None = None,
    dock: bool = False,
    fast: bool = False,
    workers: int | None = 1,
) -> PocketReport:
    """Score molecules in a pocket, and the reference ligands under the same protocol.

    What needs the packages vina, meeko or posebusters is left out, with a note, where those are not installed.

    Args:
        molecules: with bonds and coordinates in Å in the frame of the pocket, hydrogens not needed; they are not
            changed. A molecule that failed stays in the denominator as None.
        pocket: a PDB file, or what `read_protein` made of one.
        reference_ligands: ligands in their poses in the pocket; the box of Vina is put around the first one, or around
            the molecules if there is none: around those within 10 Å of the one in the middle.
        known_ligands: what similarity is measured to; the reference ligands if not given.
        requested: number of molecules that were asked for, if it is more than there are in `molecules`.
        dock: whether to dock each molecule with Vina as well (seconds to minutes for each).
        fast: leave out strain and PoseBusters' internal energy, which take most of the time otherwise.
        workers: processes; None = one per core that this process may use, unless there is little to do. With more than
            one, a molecule that crashes a program, or takes ten minutes (an hour, with `dock`), counts as missing.

    Raises:
        FileNotFoundError: if there is no such PDB file.
        ValueError: if it cannot be read, a reference or known ligand is not valid, the pocket holds the reference
            ligand, that or all molecules lie elsewhere, there are no molecules, or none can be scored.
        ImportError: if `dock` is asked for without the packages.
    """
    total = requested_count(len(molecules), requested)
    protein = pocket if isinstance(pocket, Protein) else read_protein(pocket)
    references = [_checked(mol, "reference", k) for k, mol in enumerate(reference_ligands)]
    known = references if known_ligands is None else [_checked(mol, "known", k) for k, mol in enumerate(known_ligands)]
    for mol in references:
        protein.check_apart(mol)
        if not is_near(mol, protein.positions):
            raise ValueError(f"Got a reference ligand that is not within {NEAR:g} Å of {protein.name}; {_ONE_FRAME}")
    placed = [mol for mol in molecules if mol is not None and mol.GetNumConformers()]
    away = sum(not is_near(mol, protein.positions) for mol in placed)
    if placed and away == len(placed):
        raise ValueError(f"Got no molecule within {NEAR:g} Å of {protein.name}; {_ONE_FRAME}")
    points = _place([mol for mol in placed if is_near(mol, protein.positions)])
    scorer, notes = pocket_scorer(protein, references, known, dock, fast, points if len(points) else None)
    number = number_of_workers(workers, (_SECONDS_DOCK if dock else _SECONDS_FAST if fast else _SECONDS) * total)
    scores = _scores(scorer, molecules, number)
    failures = Counter(score.failure for score in scores if score.failure is not None)
    if placed and failures.total() == len(molecules):
        raise ValueError(f"no molecule could be scored: {next(iter(failures))}")
    notes += tuple(f"{n:,} could not be scored, and count as missing: {why}" for why, n in failures.most_common())
    scores += [PocketScores(cause=Cause.MISSING)] * (total - len(scores))
    if others := protein.others_near(points, NEAR):
        notes = (*notes, f"of the protein's file, counted as part of the pocket though no amino acid: {others}")
    if away:
        notes = (*notes, f"{away:,} molecules are not within {NEAR:g} Å of the protein")
    return PocketReport(protein.name, tuple(scores), tuple(map(scorer.score, references)), notes)


def _scores(scorer: Scorer, molecules: Sequence[Chem.Mol | None], workers: int) -> list[PocketScores]:
    limit = _LIMIT_DOCK if scorer.dock else _LIMIT
    scores: list[PocketScores] = [PocketScores()] * len(molecules)
    for place, found, fault in as_done(scorer.score, molecules, "scoring", workers, limit, slow=True):
        scores[place] = found if fault is None else PocketScores(cause=Cause.MISSING, failure=fault)
    return scores


def pocket_scorer(
    protein: Protein,
    references: Sequence[Chem.Mol] = (),
    known: Sequence[Chem.Mol] = (),
    dock: bool = False,
    fast: bool = False,
    points: NDArray[np.float64] | None = None,
) -> tuple[Scorer, tuple[str, ...]]:
    """What scores molecules in a pocket, and notes on what it has to leave out; arguments as of `evaluate_pocket`.

    `points` (N, 3), in Å: where to put the box of Vina if there are no references.

    Raises:
        ImportError: if `dock` is asked for without the packages.
    """
    notes, vina, posebusters = [], None, True
    try:
        vina = VinaPocket.around(protein, references[0] if references else points)
    except ImportError as error:
        if dock:
            raise
        notes.append(f"without Vina's energies: {error}")
    try:
        require_posebusters()
    except ImportError as error:
        posebusters = False
        notes.append(f"without PoseBusters' checks: {error}")
    if fast:
        notes.append("fast: without strain and PoseBusters' internal energy")
    wanted = reference_interactions(references, protein)
    return Scorer(protein, vina, posebusters, known, wanted, dock, fast), tuple(notes)


def _place(mols: Sequence[Chem.Mol]) -> NDArray[np.float64]:
    """The atoms (N, 3) of the molecules around the one in the middle, by the median of all centres."""
    places = [mol.GetConformer().GetPositions() for mol in mols]
    places = [points for points in places if np.isfinite(points).all()]
    if not places:
        return np.empty((0, 3))
    centres = np.stack([points.mean(0) for points in places])
    middle = centres[np.linalg.norm(centres - np.median(centres, axis=0), axis=1).argmin()]
    near = np.linalg.norm(centres - middle, axis=1) <= _ONE_PLACE
    whole = [np.ptp(points, axis=0).max() < MAX_EXTENT for points in places]
    return np.concatenate([np.empty((0, 3)), *(places[k] for k in np.flatnonzero(near & whole).tolist())])


def _checked(mol: Chem.Mol | None, kind: str, place: int) -> Chem.Mol:
    """A sanitized copy of a reference or known ligand."""
    if mol is None or design_verdict(mol).cause is not None or not mol.GetNumConformers():
        cause = design_verdict(mol).cause or "no coordinates"
        raise ValueError(
            f"Got a {kind} ligand (number {place + 1}) that is not valid ({cause}); expected a whole molecule with "
            "bonds and coordinates, such as an SDF file of the ligand in the pocket"
        )
    return sanitized(mol)
