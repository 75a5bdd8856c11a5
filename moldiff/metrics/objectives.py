"""What ligands are improved for: numbers of a molecule that shall rise, or fall."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from rdkit import Chem

from moldiff.chem import druglikeness
from moldiff.chem.files import read_molecule
from moldiff.metrics.pocket.protein import read_protein
from moldiff.metrics.pocket.settle import tell_of_others
from moldiff.metrics.pocket.vina import VinaPocket

OBJECTIVES = ("qed", "sa", "vina")


@dataclass(frozen=True)
class Objective:
    """A function of a molecule that tells which is better.

    It gets sanitized molecules with coordinates, whose hydrogens are implicit, and gives None where it has no value.
    """

    name: str
    function: Callable[[Chem.Mol], float | None]
    falls: bool = False  # whether lower is better

    def better(self, value: float) -> float:
        """The value as a number that is the higher, the better."""
        return -value if self.falls else value


def objective(
    name: str,
    pocket: str | os.PathLike[str] | None = None,
    ligand: str | os.PathLike[str] | Chem.Mol | None = None,
) -> Objective:
    """One of `OBJECTIVES`.

    Args:
        name: "qed" (Bickerton et al. 2012), "sa" (synthetic accessibility from 0, hard, to 1, easy), or "vina"
            (AutoDock Vina's energy in kcal/mol after a local minimisation in the pocket).
        pocket: .pdb file of the pocket, for "vina".
        ligand: a molecule in the pocket, or its .sdf file; tells where, for "vina".

    Raises:
        ValueError: if there is no such objective, "vina" lacks the pocket or the ligand, or the file of the
            pocket holds the ligand.
        ImportError: if the packages for "vina" are missing.
    """
    if name == "qed":
        return Objective(name, druglikeness.qed)
    if name == "sa":
        return Objective(name, druglikeness.sa)
    if name != "vina":
        raise ValueError(f"got the objective {name!r}; expected one of {', '.join(OBJECTIVES)}")
    if pocket is None or ligand is None:
        raise ValueError("the objective vina needs a pocket and a ligand in it: give --pocket, a .pdb file")
    mol = ligand if isinstance(ligand, Chem.Mol) else read_molecule(ligand)
    protein = read_protein(pocket)
    protein.check_apart(mol)
    tell_of_others(protein, mol.GetConformer().GetPositions())
    grid = VinaPocket.around(protein, mol)
    return Objective(name, lambda mol: grid.energies(mol).minimised, falls=True)
