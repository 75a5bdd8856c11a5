"""`moldiff relax`: the molecules of a file with mended geometry."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.chem.force_field import NEAR, is_near, rmsd
from moldiff.chem.protein_files import read_pocket
from moldiff.metrics.parallel import as_done, number_of_workers
from moldiff.metrics.pocket.settle import Settler, vina_around

_SECONDS, _SECONDS_WITH_VINA = 0.2, 1.5  # that a molecule takes, about


def run_relax(
    molecules: Path,
    out: Path,
    pocket: Path | None = None,
    vina: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
) -> None:
    """Relax the molecules of a file by a force field (MMFF94s, or UFF), alone or in their pocket.

    Args:
        molecules: a .sdf or .sdf.gz file with coordinates; hydrogens may be missing, as in designs for a pocket.
        out: .sdf or .xyz file for all records, with `moldiff_relaxed` (1; 0 where it failed) and how far atoms moved.
        pocket: .pdb or .cif file of a protein in the frame of the molecules, which stay in their places in it.
        vina: with `pocket` (.pdb), move relaxed molecules to Vina's next minimum, where they are relaxed again.
        overwrite: replace `out` if it exists.
        workers: processes; if None, one per core that this process may use, unless there is little to do.

    Raises:
        FileNotFoundError: if a file or the folder of `out` does not exist.
        FileExistsError: if `out` exists and `overwrite` is False.
        ValueError: if a file cannot be read, or no molecule is near the pocket.
        ImportError: if `vina` is asked for without the packages.
    """
    if not molecules.name.lower().endswith((".sdf", ".sdf.gz")):
        raise ValueError(f"{molecules}: expected a .sdf or .sdf.gz file, which has bonds and coordinates")
    writer = MoleculeWriter(out, overwrite)
    mols, around = read_molecules(molecules), None if pocket is None else read_pocket(pocket)
    near = [mol for mol in mols if mol is not None and (around is None or is_near(mol, around.positions))]
    if around is not None and not near:
        raise ValueError(
            f"{molecules}: got no molecule within {NEAR:g} Å of the atoms of {pocket}; expected both in one frame"
        )
    settler = Settler(around, vina_around(near, pocket) if vina else None)
    moved, failures = [], Counter[str]()
    with writer:
        for mol, reason in _relaxed(mols, settler, workers):
            if reason is None and mol is not None:
                moved.append(float(mol.GetProp("moldiff_relaxed_rmsd")))
            else:
                failures[str(reason)] += 1
            writer.write(mol)
    mean = f"; atoms moved by {np.mean(moved):.2f} Å (RMSD, mean)" if moved else ""
    sys.stdout.write(f"{out}: {len(moved):,} of {len(mols):,} molecules relaxed{mean}\n")
    for reason, count in failures.most_common():
        sys.stdout.write(f"  {count:,} as they were: {reason}\n")


def _relaxed(
    mols: Sequence[Chem.Mol | None], settler: Settler, workers: int | None
) -> Iterator[tuple[Chem.Mol | None, str | None]]:
    """Each molecule, in order, and why it is as it was, if it is."""
    each = _SECONDS if settler.vina is None else _SECONDS_WITH_VINA
    number = number_of_workers(workers, each * len(mols))
    ready: dict[int, tuple[NDArray[np.float64] | str, str | None]] = {}
    count = 0
    for place, found, fault in as_done(_Positions(settler), mols, "relaxing", number, limit_s=600.0, slow=True):
        ready[place] = found, fault
        while count in ready:
            positions, reason = ready.pop(count)
            yield _moved(mols[count], reason or positions)
            count += 1


def _moved(mol: Chem.Mol | None, found: NDArray[np.float64] | str) -> tuple[Chem.Mol | None, str | None]:
    """A molecule at its new positions, or as it was and why."""
    reason = found if isinstance(found, str) else None
    if mol is None:
        return None, reason
    after = Chem.Mol(mol)
    after.ClearProp("moldiff_relaxed_rmsd")
    if not isinstance(found, str):
        after.GetConformer().SetPositions(found)
        after.SetProp("moldiff_relaxed_rmsd", f"{rmsd(mol, after):.3f}")
    after.SetIntProp("moldiff_relaxed", int(reason is None))
    return after, reason


@dataclass(frozen=True)
class _Positions:
    """Where the atoms of a molecule lie when it is settled, or why it cannot be; for another process."""

    settler: Settler

    def __call__(self, mol: Chem.Mol | None) -> NDArray[np.float64] | str:
        if mol is None:
            return "unreadable, or without atoms"
        try:
            return np.ascontiguousarray(self.settler.settled(mol).GetConformer().GetPositions())
        except ValueError as error:
            return str(error)
