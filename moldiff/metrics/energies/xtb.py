"""Relaxation under GFN2-xTB (Bannwarth et al. 2019), a semi-empirical quantum method, by the package tblite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from scipy.optimize import minimize

from moldiff.metrics.energies.relaxation import KCAL_PER_HARTREE, Relaxation, superposed_rmsd
from moldiff.metrics.extras import require

_BOHR = 0.529177210903  # Å
_MAX_ITERATIONS = 300
_GRADIENT = 5e-4  # Hartree/Bohr: the largest component at the minimum


def gfn2_relaxation(mol: Chem.Mol) -> Relaxation:
    """Relax a closed-shell molecule with explicit hydrogens and coordinates; it is not changed.

    DFT geometries of QM9 relax by about 1 kcal/mol and 0.03 Å. Set OMP_NUM_THREADS=1 where many processes do this.

    Raises:
        ModuleNotFoundError: if tblite is not installed.
        RuntimeError: if the electrons do not become self-consistent.
    """
    require("xtb")
    from tblite.interface import Calculator

    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    start = mol.GetConformer().GetPositions()
    calculator = Calculator("GFN2-xTB", numbers, start / _BOHR, charge=Chem.GetFormalCharge(mol))
    calculator.set("verbosity", 0)
    last: list[Any] = [None]  # the electrons of the last geometry are a good guess for the next

    def energy_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        calculator.update(positions=flat.reshape(-1, 3))
        last[0] = calculator.singlepoint(last[0])
        return float(last[0].get("energy")), np.asarray(last[0].get("gradient")).ravel()

    first, _ = energy_and_gradient((start / _BOHR).ravel())
    options = {"maxiter": _MAX_ITERATIONS, "gtol": _GRADIENT, "ftol": 1e-10}
    found = minimize(energy_and_gradient, (start / _BOHR).ravel(), jac=True, method="L-BFGS-B", options=options)
    rmsd = superposed_rmsd(start, found.x.reshape(-1, 3) * _BOHR)
    return Relaxation((first - float(found.fun)) * KCAL_PER_HARTREE, rmsd, bool(found.success))
