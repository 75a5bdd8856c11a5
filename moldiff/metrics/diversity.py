"""How different molecules are from each other and from those of a reference: fingerprints and scaffolds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from rdkit.Chem.Scaffolds import MurckoScaffold

from moldiff.metrics.mean import Mean
from moldiff.metrics.share import Interval, Share

_MOST = 3000  # molecules whose pairs are compared


@dataclass(frozen=True)
class Structures:
    """Molecules by SMILES, with what they are compared by, computed when it is first asked for."""

    smiles: tuple[str, ...]

    @cached_property
    def _molecules(self) -> list[Chem.Mol]:
        return [Chem.MolFromSmiles(text) for text in self.smiles]

    @cached_property
    def fingerprints(self) -> list[DataStructs.ExplicitBitVect]:
        """Morgan fingerprints of radius 2, 2048 bits (Rogers & Hahn 2010)."""
        generator = GetMorganGenerator(radius=2, fpSize=2048)
        return [generator.GetFingerprint(mol) for mol in self._molecules]

    @cached_property
    def scaffolds(self) -> list[str]:
        """Bemis–Murcko scaffolds (1996): rings and what links them; empty for a molecule without rings."""
        return [Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(mol)) for mol in self._molecules]  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class DiversityScores:
    """Of the valid molecules (strict rule), repeated ones included."""

    internal_diversity: Mean  # 1 - mean Tanimoto similarity of two molecules; of at most 3,000, evenly spaced
    nearest_neighbour: Mean | None  # Tanimoto similarity to the most similar molecule of the reference
    with_rings: Share  # of the valid ones
    distinct_scaffolds: Share  # of the valid ones with rings
    known_scaffolds: Share | None  # that the reference has, of the distinct ones

    @classmethod
    def of(cls, molecules: Structures, reference: Structures | None = None) -> DiversityScores:
        """Compare molecules with each other and with a reference, which should not be the training set alone."""
        rings = [scaffold for scaffold in molecules.scaffolds if scaffold]
        distinct = set(rings)
        nearest = known = None
        if reference is not None:
            nearest = Mean.of_values(nearest_similarities(molecules, reference), "valid")
            known = Share(len(distinct & set(reference.scaffolds)), len(distinct), "distinct")
        return cls(
            internal_diversity=_internal_diversity(molecules),
            nearest_neighbour=nearest,
            with_rings=Share(len(rings), len(molecules.smiles), "valid"),
            distinct_scaffolds=Share(len(distinct), len(rings), "valid with rings"),
            known_scaffolds=known,
        )


def nearest_similarities(molecules: Structures, reference: Structures) -> list[float]:
    """For each molecule the largest Tanimoto similarity to one of the reference, 0 to 1."""
    known: dict[str, float] = {}
    for smiles, fingerprint in zip(molecules.smiles, molecules.fingerprints, strict=True):
        if smiles not in known:
            known[smiles] = max(DataStructs.BulkTanimotoSimilarity(fingerprint, reference.fingerprints), default=0.0)
    return [known[smiles] for smiles in molecules.smiles]


def _internal_diversity(molecules: Structures) -> Mean:
    """Each molecule's mean distance to the others; None for fewer than two molecules (Benhenda 2017).

    Each pair counts for two molecules, which makes the mean twice as uncertain as one of separate values (Hoeffding
    1948).
    """
    fingerprints = molecules.fingerprints[:: -(-len(molecules.smiles) // _MOST) or 1]
    n = len(fingerprints)
    if n < 2:
        return Mean.of_values([], "valid")
    similar = np.zeros(n)
    for k in range(1, n):
        row = np.array(DataStructs.BulkTanimotoSimilarity(fingerprints[k], fingerprints[:k]))
        similar[:k] += row
        similar[k] += row.sum()
    mean = Mean.of_values((1 - similar / (n - 1)).tolist(), "valid")
    assert mean.value is not None
    assert mean.interval is not None
    low, high = (mean.value + 2 * (bound - mean.value) for bound in mean.interval)
    return replace(mean, interval=Interval(max(0.0, low), min(1.0, high)))
