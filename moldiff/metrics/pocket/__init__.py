"""Scores of molecules designed for a protein pocket; importable without torch.

`evaluate_pocket` gives a `PocketReport` with everything; `PocketSummary` gathers the reports of many pockets.
"""

from moldiff.metrics.pocket.clashes import Clashes, clashes
from moldiff.metrics.pocket.energies import PoseEnergies, pose_energies
from moldiff.metrics.pocket.evaluate import evaluate_pocket, pocket_scorer
from moldiff.metrics.pocket.interactions import Interactions, interactions
from moldiff.metrics.pocket.posebusters import posebusters_checks, posebusters_valid
from moldiff.metrics.pocket.protein import Protein, protein_from_mol, read_protein
from moldiff.metrics.pocket.receptor import receptor_pdbqt
from moldiff.metrics.pocket.report import PocketReport, Summary
from moldiff.metrics.pocket.scores import PocketScores, Scorer
from moldiff.metrics.pocket.similarity import max_similarity
from moldiff.metrics.pocket.summary import PocketSummary
from moldiff.metrics.pocket.validity import design_verdict, sanitized
from moldiff.metrics.pocket.vina import VinaEnergies, VinaPocket

__all__ = [
    "Clashes",
    "Interactions",
    "PocketReport",
    "PocketScores",
    "PocketSummary",
    "PoseEnergies",
    "Protein",
    "Scorer",
    "Summary",
    "VinaEnergies",
    "VinaPocket",
    "clashes",
    "design_verdict",
    "evaluate_pocket",
    "interactions",
    "max_similarity",
    "pocket_scorer",
    "pose_energies",
    "posebusters_checks",
    "posebusters_valid",
    "protein_from_mol",
    "read_protein",
    "receptor_pdbqt",
    "sanitized",
]
