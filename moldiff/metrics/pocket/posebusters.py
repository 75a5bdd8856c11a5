"""PoseBusters' checks of a molecule in a pocket (Buttenschoen et al. 2024), each guarded.

The checks are those of the configuration "dock": of the molecule alone (bond lengths, angles, internal clashes, flat
rings, internal energy) and against the protein (distances, overlap of volumes). The protein is cropped to the residues
within 10 Å of the molecule, which gives the same verdicts in a fraction of the time. The internal energy is judged here
by PoseBusters' rule, with `moldiff.metrics.pocket.energies`: its own code takes no end of time for some molecules.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from rdkit import Chem, rdBase

from moldiff.metrics.pocket.attempt import FAILURES
from moldiff.metrics.pocket.energies import PoseEnergies
from moldiff.metrics.pocket.protein import Protein
from moldiff.metrics.rdkit_log import open_log

Checks = Mapping[str, bool | None]
"""Name of a check -> True = passed, False = failed, None = not evaluated."""

CROP = 10.0
"""Å around the molecule within which the protein is looked at; PoseBusters itself looks no further than 6 Å."""


def posebusters_checks(mol: Chem.Mol, protein: Protein, energies: PoseEnergies | None = None) -> Checks:
    """The verdict of each check: True = passed, False = failed, None = not evaluated.

    A check is not evaluated if it raises an error, or has nothing to say. Not evaluated is not failed.

    Args:
        mol: with bonds and coordinates in Å in the frame of the protein; hydrogens are not needed.
        protein: read by `read_protein`.
        energies: what the check of the internal energy is made from; None = that check is not evaluated.

    Raises:
        ImportError: if the package posebusters is missing.
    """
    config = _config()
    pocket = protein.near(mol.GetConformer().GetPositions(), CROP).mol
    internal = {"internal_energy": None if energies is None else energies.passes}
    try:
        return MappingProxyType({**_run(config, mol, pocket), **internal})
    except FAILURES:
        pass
    verdicts: dict[str, bool | None] = {}  # one module at a time, so that the one that fails loses nothing else
    for module in config["modules"]:
        try:
            verdicts.update(_run({**config, "modules": [module]}, mol, pocket))
        except FAILURES:
            verdicts.update(dict.fromkeys(_names(module)))
    return MappingProxyType({**verdicts, **internal})


def posebusters_valid(verdicts: Checks) -> bool:
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


def _run(config: dict[str, Any], mol: Chem.Mol, pocket: Chem.Mol) -> Checks:
    from posebusters import PoseBusters

    open_log()
    with _silence():
        row = PoseBusters(config, max_workers=0).bust(mol, None, pocket).iloc[0]
    return MappingProxyType({str(name): _verdict(value) for name, value in row.items()})


@contextmanager
def _silence() -> Iterator[None]:
    """Without what PoseBusters, RDKit, pandas and numpy say about a molecule: the verdicts say it."""
    logger = logging.getLogger("posebusters")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with rdBase.BlockLogs(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


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
def _config() -> dict[str, Any]:
    path = require_posebusters() / "config" / "dock_fast.yml"
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return config
