"""Reference samples: what molecules are compared with, as SMILES, histograms and scores. One of QM9 is bundled."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from rdkit import Chem

from moldiff.metrics.calibration import Calibration
from moldiff.metrics.distributions import Profile, count_quantities
from moldiff.metrics.strict import strict_verdict

_MOST = 10_000  # molecules that are looked at, evenly spaced
_VERSION = 1


@dataclass(frozen=True)
class ReferenceSample:
    """Some of the molecules that the scored ones should be like."""

    name: str
    smiles: tuple[str, ...]  # canonical, of the valid ones (strict rule)
    profile: Profile | None  # None without coordinates
    calibration: Calibration

    @classmethod
    def of(cls, name: str, molecules: Sequence[Chem.Mol | None]) -> ReferenceSample:
        """Look at molecules with bonds; the calibration is empty."""
        some = [mol for mol in molecules[:: -(-len(molecules) // _MOST) or 1] if mol is not None]
        verdicts = [strict_verdict(mol) for mol in some]
        counts = [count_quantities(mol) for mol in some if mol.GetNumConformers()]
        return cls(
            name,
            tuple(verdict.smiles for verdict in verdicts if verdict.smiles is not None),
            Profile.of(counts) if counts else None,
            Calibration(name),
        )

    def with_calibration(self, calibration: Calibration) -> ReferenceSample:
        """The same sample with what it scores."""
        return replace(self, calibration=calibration)

    def to_bytes(self) -> bytes:
        """JSON, compressed by xz."""
        values: dict[str, Any] = {
            "version": _VERSION,
            "name": self.name,
            "smiles": " ".join(self.smiles),
            "profile": None if self.profile is None else self.profile.to_dict(),
            "calibration": self.calibration.to_dict(),
        }
        return lzma.compress(json.dumps(values).encode(), preset=9 | lzma.PRESET_EXTREME)

    @classmethod
    def from_bytes(cls, data: bytes) -> ReferenceSample:
        """Undo `to_bytes`.

        Raises:
            ValueError: if the data is damaged, or of another version.
        """
        try:
            values = json.loads(lzma.decompress(data))
        except (lzma.LZMAError, ValueError) as error:
            raise ValueError(f"The reference sample is damaged ({error})") from error
        if values["version"] != _VERSION:
            raise ValueError(f"Got a reference sample of version {values['version']}; expected {_VERSION}")
        return cls(
            values["name"],
            tuple(values["smiles"].split()),
            None if values["profile"] is None else Profile.from_dict(values["profile"]),
            Calibration.from_dict(values["calibration"]),
        )


@lru_cache
def bundled_sample(name: str) -> ReferenceSample:
    """The sample that comes with the package: "qm9", every second of the 13,083 test molecules of EDM's split."""
    return ReferenceSample.from_bytes(files(__package__).joinpath(f"{name}_test.json.xz").read_bytes())
