"""`moldiff relax`: the molecules of a file with mended geometry."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rdkit import Chem
from tqdm import tqdm

from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.chem.force_field import NEAR, is_near, relax, rmsd
from moldiff.chem.protein_files import read_pocket


def run_relax(
    molecules: Path,
    out: Path,
    pocket: Path | None = None,
    overwrite: bool = False,
    mover: Callable[[Sequence[Chem.Mol]], Callable[[Chem.Mol], Chem.Mol]] | None = None,
) -> None:
    """Relax the molecules of a file by a force field (MMFF94s, or UFF), alone or in their pocket.

    Args:
        molecules: a .sdf or .sdf.gz file with coordinates; hydrogens may be missing, as in designs for a pocket.
        out: .sdf or .xyz file for all records, with `moldiff_relaxed` (1; 0 where it failed) and how far atoms moved.
        pocket: .pdb or .cif file of a protein in the frame of the molecules, which stay in their places in it.
        overwrite: replace `out` if it exists.
        mover: makes of all molecules in the pocket what moves one, once relaxed, to a better place, where it is relaxed
            again; a ValueError of that says why it cannot.

    Raises:
        FileNotFoundError: if a file or the folder of `out` does not exist.
        FileExistsError: if `out` exists and `overwrite` is False.
        ValueError: if a file cannot be read, or no molecule is near the pocket.
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
    move = None if mover is None else mover(near)
    moved: list[float] = []
    failures = Counter[str]()
    with writer:
        for mol in tqdm(mols, "relaxing", unit="molecules", disable=None):
            done = False
            if mol is not None:
                mol.ClearProp("moldiff_relaxed_rmsd")
            try:
                if mol is None:
                    raise ValueError("unreadable, or without atoms")
                if around is not None and not is_near(mol, around.positions):
                    raise ValueError(f"not within {NEAR:g} Å of the protein")
                relaxed = relax(mol, around).mol
                if move is not None:
                    relaxed = relax(move(relaxed), around).mol
                moved.append(rmsd(mol, relaxed))
                mol, done = relaxed, True
                mol.SetProp("moldiff_relaxed_rmsd", f"{moved[-1]:.3f}")
            except ValueError as error:
                failures[str(error)] += 1
            if mol is not None:
                mol.SetIntProp("moldiff_relaxed", int(done))
            writer.write(mol)
    mean = f"; atoms moved by {np.mean(moved):.2f} Å (RMSD, mean)" if moved else ""
    sys.stdout.write(f"{out}: {len(moved):,} of {len(mols):,} molecules relaxed{mean}\n")
    for reason, count in failures.most_common():
        sys.stdout.write(f"  {count:,} as they were: {reason}\n")
