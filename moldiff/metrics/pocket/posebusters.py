"""PoseBusters' checks of a molecule in a pocket (Buttenschoen et al. 2024), each guarded.

The configuration "dock" holds the checks of the molecule alone (bond lengths, angles, internal clashes, flat rings,
internal energy) and those against the protein (distances, overlap of volumes). The protein is cropped to the residues
within 10 Å of the molecule, which gives the same verdicts in a fraction of the time.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from rdkit import Chem

from moldiff.metrics.pocket.attempt import FAILURES
from moldiff.metrics.pocket.protein import Protein

CROP = 10.0
"""Å around the molecule within which the protein is looked at; PoseBusters itself looks no further than 6 Å."""


def posebusters_checks(mol: Chem.Mol, protein: Protein, energy: bool = True) -> Mapping[str, bool | None]:
    """The verdict of each check: True = passed, False = failed, None = not evaluated.

    A check is not evaluated if it raises an error, or has nothing to say: the energy of a molecule whose conformers
    cannot be made or that has elements without UFF parameters, for example. Not evaluated is not failed.

    Args:
        mol: with bonds and coordinates in Å in the frame of the protein; hydrogens are not needed.
        protein: read by `read_protein`.
        energy: whether to run the check of the internal energy, which takes most of the time (50 conformers).

    Raises:
        ImportError: if the package posebusters is missing.
    """
    config = _config("dock" if energy else "dock_fast")
    pocket = protein.near(mol.GetConformer().GetPositions(), CROP).mol
    try:
        return _run(config, mol, pocket)
    except FAILURES:
        pass
    verdicts: dict[str, bool | None] = {}  # one module at a time, so that the one that fails loses nothing else
    for module in config["modules"]:
        try:
            verdicts.update(_run({**config, "modules": [module]}, mol, pocket))
        except FAILURES:
            verdicts.update(dict.fromkeys(_names(module)))
    return MappingProxyType(verdicts)


def posebusters_valid(verdicts: Mapping[str, bool | None]) -> bool:
    """Whether no check failed, and some were evaluated."""
    return any(verdicts.values()) and not any(verdict is False for verdict in verdicts.values())


def require_posebusters() -> Path:
    """The folder of the package posebusters.

    Raises:
        ImportError: if it is not installed.
    """
    spec = find_spec("posebusters")
    if spec is None or spec.origin is None:
        raise ImportError(
            "The package posebusters is not installed, which its checks need: pip install 'moldiff[docking]'"
        )
    return Path(spec.origin).parent


def _run(config: dict[str, Any], mol: Chem.Mol, pocket: Chem.Mol) -> Mapping[str, bool | None]:
    from posebusters import PoseBusters

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas and numpy, about missing values
        row = PoseBusters(config, max_workers=0).bust(mol, None, pocket).iloc[0]
    return MappingProxyType({str(name): _verdict(value) for name, value in row.items()})


def _verdict(value: Any) -> bool | None:
    if value is None or repr(value) == "<NA>" or (isinstance(value, float) and math.isnan(value)):
        return None
    return bool(value)


def _names(module: Mapping[str, Any]) -> list[str]:
    """The names under which a module's checks appear in PoseBusters' table."""
    renamed = module.get("rename_outputs", {})
    outputs = module.get("chosen_binary_test_output", [])
    suffix = module.get("rename_suffix", "")
    return [renamed.get(output, output + suffix).lower().replace(" ", "_") for output in outputs]


@cache
def _config(name: str) -> dict[str, Any]:
    path = require_posebusters() / "config" / f"{name}.yml"
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return config
