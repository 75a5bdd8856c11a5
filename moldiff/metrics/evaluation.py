"""Scores molecules."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rdkit import Chem

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.chem.files import Bonds, read_molecules
from moldiff.chem.record_file import RecordFile
from moldiff.metrics.calibration import OF_ONE_SIZE, Calibration
from moldiff.metrics.distributions import count_quantities, noise_floors
from moldiff.metrics.edm import EDMScores
from moldiff.metrics.groups import DEFAULT_METRICS, Passes, Verdict, check_metrics, group_scores
from moldiff.metrics.reference import BUNDLED, Reference, load_reference
from moldiff.metrics.reference.sample import ReferenceSample, bundled_sample
from moldiff.metrics.report import Report, Sizes
from moldiff.metrics.share import Share, requested_count
from moldiff.metrics.strict import Cause, StrictScores

_SIZES = (100, 300, 1000, 3000, 10_000)  # of samples of a user's reference
_CALIBRATED = 1000  # molecules of a user's reference that are scored themselves, evenly spaced


def evaluate(
    molecules: Sequence[Chem.Mol | MoleculeArrays | None],
    reference: str | Reference | None = "qm9",
    requested: int | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    workers: int = 1,
    sample: ReferenceSample | None = None,
) -> Report:
    """Score molecules. One that failed stays in the denominators as None; one that crashes a check is named in a note.

    Args:
        molecules: with explicit hydrogens and coordinates, sanitized or not; they are not changed. The strict rule
            takes the bonds that a molecule carries; those of `MoleculeArrays` without bonds are perceived. Those of a
            `RecordFile` are read one by one.
        reference: what novelty is judged by, and distributions are compared with: "qm9" (training molecules; test
            molecules), a file (see `read_molecules`), a `Reference` (for novelty only), or None.
        requested: number of molecules that were asked for, if it is more than there are in `molecules`.
        metrics: groups of scores, of `moldiff.metrics.METRICS`.
        workers: processes; the scores do not depend on it.
        sample: what distributions are compared with; that of the reference, if not given.

    Raises:
        ValueError: if there are no molecules, more than `requested`, or the reference or a group is unknown.
        TypeError: if an entry is not a molecule.
        ModuleNotFoundError: if a group needs a package that is not installed.
    """
    total = requested_count(len(molecules), requested)
    check_metrics(metrics)
    mols = molecules if isinstance(molecules, RecordFile) else list(_as_mols(molecules))
    if isinstance(reference, str | os.PathLike):
        name = os.fspath(reference)
        reference = load_reference(name)
        sample = sample or load_sample(name, metrics, workers)
    passes = Passes(mols, workers)
    judged = passes.verdicts()
    there = [verdict for verdict in judged if verdict.num_atoms]
    groups = group_scores(passes, metrics, judged, sample, total)
    return Report(
        requested=total,
        edm=EDMScores.of([v.edm for v in judged], reference.edm_smiles if reference else None, total),
        strict=StrictScores.of([v.strict for v in judged], reference.smiles if reference else None, total),
        sizes=Sizes.of([verdict.num_atoms for verdict in there], [verdict.num_heavy for verdict in there]),
        reference=reference.name if reference else None,
        notes=(*_reference_notes(reference), *_molecule_notes(judged), *passes.notes),
        connected=Share(sum(verdict.num_fragments == 1 for verdict in judged), total, "requested"),
        calibration=sample.calibration if sample else None,
        **groups,
    )


def load_sample(
    name: str, metrics: Sequence[str] = DEFAULT_METRICS, workers: int = 1, bonds: Bonds = "rdkit"
) -> ReferenceSample:
    """The molecules of a reference that others are compared with, and what they score themselves.

    Args:
        name: "qm9", or the path of a file (see `read_molecules`).
        metrics: groups of scores that the molecules of a file are given.
        workers: processes.
        bonds: how bonds are found in a file without them, see `moldiff.chem.files`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file cannot be read.
    """
    return bundled_sample(name) if name in BUNDLED else _user_sample(name, metrics, workers, bonds)


def _user_sample(path: str, metrics: Sequence[str], workers: int, bonds: Bonds) -> ReferenceSample:
    molecules = read_molecules(path, bonds)
    sample = ReferenceSample.of(os.path.basename(path), molecules)
    some = molecules[:: -(-len(molecules) // _CALIBRATED)]
    alone = evaluate(some, None, metrics=metrics, workers=workers).figures()
    figures = {row: value for row, value in alone.items() if row not in OF_ONE_SIZE}
    there = [count_quantities(mol) for mol in some if mol is not None and mol.GetNumConformers()]
    floors = noise_floors(there, _SIZES) if there and "geometry" in metrics else {}
    by_size = {f"geometry.distances.{name}": sizes for name, sizes in floors.items()}
    name = f"{len(some):,} molecules of {sample.name}"
    return sample.with_calibration(Calibration(name, figures, by_size))


def _as_mols(molecules: Sequence[Chem.Mol | MoleculeArrays | None]) -> Iterator[Chem.Mol | None]:
    for k, molecule in enumerate(molecules):
        if isinstance(molecule, MoleculeArrays):
            yield to_mol(molecule)
        elif molecule is None or isinstance(molecule, Chem.Mol):
            yield molecule
        else:
            raise TypeError(
                f"Molecule {k}: got {type(molecule).__name__}; expected an RDKit Mol, MoleculeArrays, or None"
            )


def _reference_notes(reference: Reference | None) -> list[str]:
    notes = []
    if reference is not None and reference.skipped:
        notes.append(
            f"{reference.skipped:,} of {reference.num_molecules:,} molecules of {reference.name} are unreadable"
        )
    if reference is not None and (drift := reference.drift()) > 0:
        notes.append(
            f"novelty is too high: this RDKit writes {100 * drift:.0f} % of the SMILES of {reference.name} differently "
            f"than RDKit {reference.rdkit_version}, which its hashes come from"
        )
    return notes


def _molecule_notes(judged: Sequence[Verdict]) -> Iterator[str]:
    bare = sum(0 < v.num_atoms == v.num_heavy and v.strict.cause is Cause.RADICAL for v in judged)
    if bare:
        yield f"{bare:,} molecules lack all hydrogens, which both rules expect as atoms with coordinates"
    flat = sum(verdict.num_atoms > 0 and not verdict.has_coordinates for verdict in judged)
    if flat:
        yield f"{flat:,} molecules have no coordinates, which EDM's rule counts as failed"
