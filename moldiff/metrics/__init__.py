"""Scores of molecules: pure functions on RDKit molecules or on elements and coordinates; importable without torch.

`evaluate` gives a `Report` with everything. The rules themselves are in `edm` (as the field counts) and `strict`; the
groups of scores (`METRICS`) are in modules of their own.
"""

from moldiff.chem.smiles import canonical_smiles
from moldiff.metrics.calibration import Calibration
from moldiff.metrics.edm import EDMScores, EDMVerdict, edm_verdict
from moldiff.metrics.evaluation import evaluate
from moldiff.metrics.groups import DEFAULT_METRICS, METRICS
from moldiff.metrics.mean import Mean
from moldiff.metrics.novelty import HashSet
from moldiff.metrics.reference import Reference, load_reference
from moldiff.metrics.report import Report, Sizes
from moldiff.metrics.share import Interval, Share
from moldiff.metrics.strict import Cause, StrictScores, StrictVerdict, strict_verdict

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "Calibration",
    "Cause",
    "EDMScores",
    "EDMVerdict",
    "HashSet",
    "Interval",
    "Mean",
    "Reference",
    "Report",
    "Share",
    "Sizes",
    "StrictScores",
    "StrictVerdict",
    "canonical_smiles",
    "edm_verdict",
    "evaluate",
    "load_reference",
    "strict_verdict",
]
