"""Builds the sample of QM9 that ships with the package: `python -m moldiff.metrics.reference qm9_test.json.xz`.

It is every second of the 13,083 molecules of EDM's test split. The scores of all 13,083 stand beside those of a model;
those of xTB and PoseBusters are of 1,000 of them. What compares with the sample is scored on molecules of the
validation split: 3,000 for the diversity, and several sizes for the distances, which depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.chem.assignment import UnexplainedBondsError, assign_bonds
from moldiff.data.splits import edm_split
from moldiff.metrics.calibration import OF_ONE_SIZE, Calibration
from moldiff.metrics.distributions import DistributionScores, count_quantities
from moldiff.metrics.diversity import DiversityScores, Structures
from moldiff.metrics.evaluation import evaluate
from moldiff.metrics.fcd import chemnet_activations, frechet_distance
from moldiff.metrics.reference import load_reference
from moldiff.metrics.reference.sample import ReferenceSample
from moldiff.metrics.report import score_paths
from moldiff.metrics.strict import strict_verdict

_SLOW = 1000  # molecules for xTB and PoseBusters
_DIVERSE = 3000
_DRAWS = {100: 20, 300: 12, 1000: 6, 3000: 3, 10_000: 1}  # number of molecules -> sets of that size without overlap


def build_sample(records: Sequence[tuple[str, MoleculeArrays]], out: Path, workers: int = 1) -> ReferenceSample:
    """Build the sample from SMILES and geometries of all of QM9, and write it to `out`.

    Raises:
        ModuleNotFoundError: if one of the extras `eval` and `xtb` is not installed.
    """
    split = edm_split()
    test = [_molecule(*records[row]) for row in tqdm(sorted(split.test), "bonds")]
    val = [_molecule(*records[row]) for row in tqdm(split.val, "bonds")]  # in random order
    sample = ReferenceSample.of("the test set of QM9", test)
    values = evaluate(test[:: len(test) // _SLOW][:_SLOW], None, metrics=("xtb", "posebusters"), workers=workers)
    known = load_reference("qm9")  # without a sample: there is none yet
    figures = values.figures() | evaluate(test, known, metrics=("properties", "strain"), workers=workers).figures()
    smiles = [verdict.smiles for verdict in map(strict_verdict, val) if verdict.smiles is not None]
    diversity = DiversityScores.of(Structures(tuple(smiles[:_DIVERSE])), Structures(sample.smiles))
    compared = score_paths("diversity", diversity)
    figures |= {row: score.value for row, score in compared if score.value is not None and row not in OF_ONE_SIZE}
    by_size: dict[str, dict[int, float]] = {}
    for row, size, distance in (*_geometry(val, sample), *_chemnet(smiles, sample)):
        by_size.setdefault(row, {})[size] = float(f"{distance:.4g}")
    figures = {row: float(f"{value:.5g}") for row, value in figures.items()}
    sample = sample.with_calibration(Calibration("QM9's own molecules", figures, by_size))
    out.write_bytes(sample.to_bytes())
    return sample


def _molecule(smiles: str, geometry: MoleculeArrays) -> Chem.Mol:
    """With the bonds that its SMILES explains, else those that are perceived."""
    try:
        return to_mol(assign_bonds(smiles, geometry.atomic_numbers, geometry.positions).molecule)
    except UnexplainedBondsError:
        return to_mol(geometry)


def _geometry(molecules: Sequence[Chem.Mol], sample: ReferenceSample) -> Iterator[tuple[str, int, float]]:
    assert sample.profile is not None
    counts = [count_quantities(mol) for mol in tqdm(molecules, "geometry")]
    for size, draws in tqdm(_DRAWS.items(), "distances"):
        found: dict[str, list[float]] = {}
        for k in range(draws):
            scores = DistributionScores.of(counts[k * size : (k + 1) * size], sample.profile)
            for row, score in score_paths("geometry", scores):
                found.setdefault(row, []).extend([] if score.value is None else [score.value])
        yield from ((row, size, float(np.mean(distances))) for row, distances in found.items() if distances)


def _chemnet(smiles: Sequence[str], sample: ReferenceSample) -> Iterator[tuple[str, int, float]]:
    reference, own = chemnet_activations(sample.smiles), chemnet_activations(smiles)
    for size, draws in tqdm(_DRAWS.items(), "FCD"):
        parts: list[NDArray[np.float64]] = [own[k * size : (k + 1) * size] for k in range(draws)]
        yield "fcd", size, float(np.mean([frechet_distance(part, reference) for part in parts]))
