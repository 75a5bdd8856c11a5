"""Groups of scores: each is one pass over the molecules, in worker processes if there are many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rdkit import Chem

from moldiff.metrics.distributions import DistributionScores, count_quantities
from moldiff.metrics.diversity import DiversityScores, Structures
from moldiff.metrics.edm import EDMVerdict, edm_verdict
from moldiff.metrics.energies import RelaxationScores, gfn2_relaxation, mmff_relaxation
from moldiff.metrics.extras import require
from moldiff.metrics.fcd import frechet_chemnet_distance
from moldiff.metrics.parallel import run_each
from moldiff.metrics.posebusters import PoseBustersScores, posebusters_verdict
from moldiff.metrics.properties import PropertyScores, molecular_properties
from moldiff.metrics.reference.sample import ReferenceSample
from moldiff.metrics.strict import Cause, StrictVerdict, strict_verdict

METRICS = ("basic", "properties", "geometry", "diversity", "strain", "posebusters", "xtb", "fcd")
"""The groups of scores, quick ones first; `basic` (both rules) is always there."""

DEFAULT_METRICS = ("basic", "properties", "geometry")

_NAMED = 5  # molecules that failed a check are named, up to this number


def check_metrics(metrics: Sequence[str]) -> None:
    """Whether the groups of scores are known, and their packages installed.

    Raises:
        ValueError: if one is unknown.
        ModuleNotFoundError: if one needs a package that is not installed.
    """
    if isinstance(metrics, str):
        raise ValueError(f"Got metrics={metrics!r}; expected a list of names, for example [{metrics.split(',')[0]!r}]")
    for metric in metrics:
        if metric not in METRICS:
            raise ValueError(f"Got the scores {metric!r}; expected some of {', '.join(METRICS)}")
        require(metric)


@dataclass(frozen=True)
class Verdict:
    """What both rules say of one molecule, and its size."""

    edm: EDMVerdict | None = None
    strict: StrictVerdict = field(default_factory=lambda: StrictVerdict(Cause.MISSING))
    num_atoms: int = 0
    num_heavy: int = 0
    num_fragments: int = 0
    has_coordinates: bool = False


def judge(mol: Chem.Mol | None) -> Verdict:
    """Apply both rules to one molecule."""
    if mol is None:
        return Verdict()
    fragments = len(Chem.GetMolFrags(mol))
    sizes = (mol.GetNumAtoms(), mol.GetNumHeavyAtoms(), fragments)
    return Verdict(edm_verdict(mol), strict_verdict(mol), *sizes, has_coordinates=mol.GetNumConformers() > 0)


@dataclass(frozen=True)
class Picked(Sequence[Any]):
    """Some of the molecules, each of which is taken (and read, if it is in a file) when it is asked for."""

    mols: Sequence[Chem.Mol | None]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, k: Any) -> Any:
        return [self.mols[place] for place in self.places[k]] if isinstance(k, slice) else self.mols[self.places[k]]


@dataclass
class Passes:
    """Passes over a set of molecules, and what to tell of those that failed a check."""

    mols: Sequence[Chem.Mol | None]
    workers: int
    notes: list[str] = field(default_factory=list)

    def verdicts(self) -> list[Verdict]:
        """By both rules; a molecule that crashes them is missing."""
        values = self.each("validity", judge, range(len(self.mols)))
        return [Verdict() if value is None else value for value in values]

    def each(
        self, name: str, function: Callable[[Any], Any], places: Sequence[int], items: Sequence[Any] | None = None
    ) -> list[Any]:
        """`function` of the molecules at these places, or of the items that stand for them; None where it failed."""
        results = run_each(function, Picked(self.mols, places) if items is None else items, name, self.workers)
        named = [f"{self._title(places[k])} ({fault})" for k, fault in list(results.faults.items())[:_NAMED]]
        if named:
            more = ", ..." if len(results.faults) > _NAMED else ""
            count = f"{len(results.faults):,} of {len(places):,} molecules"
            self.notes.append(f"{name}: {count} could not be checked: {', '.join(named)}{more}")
        return list(results.values)

    def _title(self, place: int) -> str:
        mol = self.mols[place]
        title = mol.GetProp("_Name").strip() if mol is not None and mol.HasProp("_Name") else ""
        return f"number {place + 1}, {title}" if title else f"number {place + 1}"


def group_scores(
    passes: Passes,
    metrics: Sequence[str],
    verdicts: Sequence[Verdict],
    sample: ReferenceSample | None,
    requested: int,
) -> dict[str, Any]:
    """The groups that were asked for, by their name in a `Report`; what compares needs a reference sample."""
    valid = [k for k, verdict in enumerate(verdicts) if verdict.strict.smiles is not None]
    smiles = tuple(str(verdicts[k].strict.smiles) for k in valid)
    placed = [k for k in valid if verdicts[k].has_coordinates]
    flat: list[None] = [None] * (len(valid) - len(placed))
    out: dict[str, Any] = {}
    lacking = {"geometry": sample is None or sample.profile is None, "fcd": sample is None}
    for metric in metrics:
        if lacking.get(metric):
            passes.notes.append(f"{metric}: left out, for it needs a reference by name or file, with coordinates")
    if "properties" in metrics:
        out["properties"] = PropertyScores.of(passes.each("properties", molecular_properties, valid, smiles))
    if "geometry" in metrics and sample is not None and sample.profile is not None:
        there = [k for k, verdict in enumerate(verdicts) if verdict.num_atoms]
        counts = passes.each("geometry", count_quantities, there)
        out["geometry"] = DistributionScores.of([c for c in counts if c is not None], sample.profile)
    if "diversity" in metrics:
        out["diversity"] = DiversityScores.of(Structures(smiles), Structures(sample.smiles) if sample else None)
    if "strain" in metrics:
        out["strain"] = RelaxationScores.of([*passes.each("strain", mmff_relaxation, placed), *flat])
    if "xtb" in metrics:
        out["xtb"] = RelaxationScores.of([*passes.each("xtb", gfn2_relaxation, placed), *flat])
    if "posebusters" in metrics:
        busted = [*passes.each("posebusters", posebusters_verdict, placed), *flat]
        out["posebusters"] = PoseBustersScores.of(busted, requested)
    if "fcd" in metrics and sample is not None:
        out["fcd"] = frechet_chemnet_distance(smiles, sample.smiles)
    return out
