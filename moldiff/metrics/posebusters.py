"""Physical plausibility by PoseBusters (Buttenschoen et al. 2024): bond lengths, angles, clashes, flatness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rdkit import Chem, rdBase

from moldiff.chem.arrays import sanitized
from moldiff.metrics.extras import require
from moldiff.metrics.rdkit_log import open_log
from moldiff.metrics.share import Share


@dataclass(frozen=True)
class PoseBustersScores:
    """Shares of the molecules that pass PoseBusters' checks `mol_fast`, which leave out the energy of 50 conformers."""

    passed: Share  # all checks, of all requested molecules
    passed_of_valid: Share  # all checks, of the valid ones (strict rule)
    checks: dict[str, Share]  # each check, of the valid ones

    @classmethod
    def of(cls, verdicts: Sequence[dict[str, bool] | None], requested: int) -> PoseBustersScores:
        """Count the verdicts on each valid molecule; None, where PoseBusters itself failed, counts as not passed."""
        known = [verdict for verdict in verdicts if verdict is not None]
        names = list(dict.fromkeys(name for verdict in known for name in verdict))
        passed = sum(bool(verdict) and all(verdict.values()) for verdict in known)  # no check at all is no pass
        n = len(verdicts)
        return cls(
            passed=Share(passed, requested, "requested"),
            passed_of_valid=Share(passed, n, "valid"),
            checks={name: Share(sum(verdict.get(name, True) for verdict in known), n, "valid") for name in names},
        )


def posebusters_verdict(mol: Chem.Mol) -> dict[str, bool]:
    """The name of each check and whether the molecule, with hydrogens and coordinates, passes; it is not changed.

    Checks that PoseBusters could not carry out are left out.

    Raises:
        ModuleNotFoundError: if posebusters is not installed.
        ValueError: if RDKit does not sanitize the molecule.
    """
    clean = sanitized(mol)
    if clean is None:
        raise ValueError("RDKit does not sanitize the molecule")
    open_log()
    with rdBase.BlockLogs():
        row = _buster().bust(mol_pred=clean).iloc[0]
    return {str(name): bool(value) for name, value in row.items() if value == value and value is not None}


@lru_cache
def _buster() -> Any:
    require("posebusters")
    from posebusters import PoseBusters

    return PoseBusters(config="mol_fast")
