"""`Samples`: the molecules that a call has drawn, and how each is written to files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import overload

import numpy as np
from rdkit import Chem, rdBase

from moldiff.chem.arrays import MoleculeArrays, sanitized, to_mol
from moldiff.chem.files import MoleculeWriter
from moldiff.metrics.evaluation import evaluate
from moldiff.metrics.groups import DEFAULT_METRICS
from moldiff.metrics.hydrogens import FILLED, filled
from moldiff.metrics.report import Report
from moldiff.metrics.strict import strict_verdict


@dataclass(frozen=True, repr=False)
class Samples:
    """The molecules of one call of `MoleculeGenerator.sample`, in the order of their indices.

    `samples[i]`, and each in `for mol in samples`, is what `samples.mols` holds: a sanitized molecule, or None. A slice
    is `Samples` again, whose molecules keep their indices: `samples[:10].to_sdf("first.sdf")`.
    """

    arrays: tuple[MoleculeArrays, ...]
    seed: int
    num_steps: int
    model: str
    hydrogens: bool = True  # whether they are atoms; if not, they are implicit
    num_fixed: int = 0  # the first so many atoms of each were given
    notes: tuple[Mapping[str, str], ...] = ()  # what each was asked to be, and what is known of it; written to files
    indices: Sequence[int] | None = None  # of each, if not from 0 on

    @cached_property
    def raw(self) -> list[Chem.Mol]:
        """All molecules as drawn, not sanitized, with the properties that are written to files."""
        common = (self.seed, self.num_steps, self.model, self.hydrogens, self.num_fixed)
        notes = self.notes or ({},) * len(self.arrays)
        each = zip(self.arrays, self.indices or range(len(self)), notes, strict=True)
        return [record(arrays, index, *common, note) for arrays, index, note in each]

    @cached_property
    def mols(self) -> list[Chem.Mol | None]:
        """Sanitized molecules with conformers; None where RDKit refuses one."""
        with rdBase.BlockLogs():
            return [sanitized(mol) if mol.GetNumAtoms() else None for mol in self.raw]

    def __len__(self) -> int:
        """Number of requested molecules."""
        return len(self.arrays)

    @overload
    def __getitem__(self, place: int) -> Chem.Mol | None: ...
    @overload
    def __getitem__(self, place: slice) -> Samples: ...
    def __getitem__(self, place: int | slice) -> Chem.Mol | Samples | None:
        """A sanitized molecule, None where RDKit refuses it; or some of the molecules."""
        if not isinstance(place, slice):
            return self.mols[place]
        indices = (self.indices or range(len(self)))[place]
        return replace(self, arrays=self.arrays[place], notes=self.notes[place], indices=indices)

    def __iter__(self) -> Iterator[Chem.Mol | None]:
        """All molecules, sanitized; None where RDKit refuses one."""
        return iter(self.mols)

    def __repr__(self) -> str:
        """What was drawn, in a line."""
        return f"Samples({len(self):,} molecules by {self.model}, seed {self.seed}, {self.num_steps} steps)"

    def to_sdf(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write all molecules, invalid ones too, to a .sdf or .xyz file (by its ending)."""
        with MoleculeWriter(path, overwrite) as writer:
            for mol in self.raw:
                writer.write(mol)
        return Path(path)

    def report(self, reference: str | None = "qm9", metrics: Sequence[str] = DEFAULT_METRICS) -> Report:
        """Scores of all molecules, see `moldiff.evaluate`; with hydrogens, and a note, if they were drawn without."""
        mols, added = (self.raw, False) if self.hydrogens else filled(self.raw)
        report = evaluate(mols, reference, metrics=metrics)
        return report.with_note(f"the model draws no hydrogens: {FILLED}") if added else report


def record(
    arrays: MoleculeArrays,
    index: int,
    seed: int,
    num_steps: int,
    model: str,
    hydrogens: bool = True,
    num_fixed: int = 0,
    notes: Mapping[str, str] = MappingProxyType({}),
) -> Chem.Mol:
    """A drawn molecule with a title and properties: seed, index, steps, model, `moldiff_valid` (the strict rule).

    If its coordinates are no finite numbers, which files cannot hold, it becomes a molecule without atoms. `hydrogens`:
    whether they are atoms; if not, they are implicit, and judged as if they were there. `num_fixed`: the first so many
    atoms were given; their numbers, from 1, are written as `moldiff_fixed`. `notes`: further properties.
    """
    mol = to_mol(arrays, hydrogens) if np.isfinite(arrays.positions).all() else Chem.Mol()
    mol.SetProp("_Name", f"{model}-seed{seed}-{index}")
    for key, value in (("seed", seed), ("index", index), ("num_steps", num_steps), ("model", model)):
        mol.SetProp(f"moldiff_{key}", str(value))
    if num_fixed:
        mol.SetProp("moldiff_fixed", ",".join(str(number + 1) for number in range(num_fixed)))
    for name, note in notes.items():
        mol.SetProp(name, note)
    judged = mol if hydrogens else Chem.AddHs(mol)
    mol.SetIntProp("moldiff_valid", int(strict_verdict(judged).smiles is not None))
    return mol
