"""Fréchet ChemNet Distance (Preuer et al. 2018): how alike two sets of SMILES look to a network of bioactivities."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moldiff.metrics.extras import require


@dataclass(frozen=True)
class FrechetScore:
    """The distance, which falls with the number of molecules: compare it with real molecules, as many, only."""

    value: float | None  # None for fewer than two molecules
    num_molecules: int  # valid ones (strict rule), repeated ones included
    num_reference: int


def frechet_chemnet_distance(smiles: Sequence[str], reference: Sequence[str]) -> FrechetScore:
    """The distance between two sets of canonical SMILES; it depends on how SMILES are written, so use one writer.

    Raises:
        ModuleNotFoundError: if fcd_torch is not installed.
    """
    if min(len(smiles), len(reference)) < 2:
        return FrechetScore(None, len(smiles), len(reference))
    a, b = chemnet_activations(smiles), chemnet_activations(reference)
    return FrechetScore(frechet_distance(a, b), len(smiles), len(reference))


def chemnet_activations(smiles: Sequence[str]) -> NDArray[np.float64]:
    """(M, 512): what ChemNet's last hidden layer says of each molecule; its weights come with fcd_torch.

    Raises:
        ModuleNotFoundError: if fcd_torch is not installed.
    """
    require("fcd")
    from fcd_torch import FCD

    network = FCD(device="cpu", n_jobs=1, canonize=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fcd_torch calls numpy's row_stack
        batches = [network.get_predictions(list(smiles[k : k + 512])) for k in range(0, len(smiles), 512)]
    return np.concatenate(batches).astype(np.float64)


def frechet_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Squared Fréchet distance of the Gaussians with the means and covariances of two samples (Dowson & Landau 1982).

    |m - n|² + tr(A + B - 2 (A^½ B A^½)^½), which is 0 of equal samples.

    Args:
        a: (M, K), M >= 2.
        b: (N, K), N >= 2.
    """
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)).sum()
    shift = a.mean(0) - b.mean(0)
    return float(max(0.0, shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2 * overlap))
