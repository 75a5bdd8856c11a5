"""AutoDock Vina's score of a molecule in a pocket: of the pose as given, minimised in place, and docked.

The receptor is typed by `receptor_pdbqt`, the molecule by meeko, and Vina runs through its Python bindings (Eberhardt
et al. 2021). Energies in kcal/mol. The score is exact, while minimising and docking work on a grid (0.375 Å): a pose
that is at its minimum already may get a minimised energy slightly above its score.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from moldiff.metrics.pocket.attempt import FAILURES
from moldiff.metrics.pocket.protein import Protein
from moldiff.metrics.pocket.receptor import receptor_pdbqt


@dataclass(frozen=True)
class VinaEnergies:
    """Vina's energies of one molecule in kcal/mol; None where Vina could not give one."""

    score: float | None = None  # of the pose as given
    minimised: float | None = None  # after a local minimisation
    docked: float | None = None  # of the best pose of a global search; None if it was not asked for
    failure: str | None = None  # why an energy is missing


class VinaPocket:
    """A pocket with its grid of energies, prepared once for any number of molecules.

    Args:
        protein: the receptor; residues further than 12 Å from the box are not needed and cost time.
        centre: of the box, (3,) in Å.
        size: edges of the box, (3,) in Å.
        exhaustiveness: independent searches of a docking.
        seed: of the docking.

    Raises:
        ImportError: if the packages vina or meeko are missing.
    """

    def __init__(
        self,
        protein: Protein,
        centre: NDArray[np.float64],
        size: NDArray[np.float64],
        exhaustiveness: int = 8,
        seed: int = 0,
    ) -> None:
        _meeko()
        self._exhaustiveness = exhaustiveness
        self._setup = _Setup(receptor_pdbqt(protein), (*centre.tolist(),), (*size.tolist(),), seed)
        self._low, self._high = centre - size / 2, centre + size / 2
        self._vina = _vina(self._setup)

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which computes the grid again, but once only."""
        return {name: value for name, value in vars(self).items() if name != "_vina"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _vina=_vina(state["_setup"]))

    @classmethod
    def around(
        cls, protein: Protein, reference: Chem.Mol | NDArray[np.float64] | None = None, exhaustiveness: int = 8
    ) -> VinaPocket:
        """With the box of `box_around` a reference ligand or points, or the protein's centre if there is none."""
        points = reference.GetConformer().GetPositions() if isinstance(reference, Chem.Mol) else reference
        centre, size = box_around(points, protein)
        return cls(protein.near(_corners(centre, size), 12.0), centre, size, exhaustiveness)

    def energies(self, mol: Chem.Mol, dock: bool = False) -> VinaEnergies:
        """Vina's energies of a molecule; what cannot be computed is None, with the cause in `failure`.

        Args:
            mol: sanitized, with coordinates in Å in the frame of the pocket; missing hydrogens are added.
            dock: whether to search the whole box for the best pose as well (seconds to minutes).
        """
        heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
        positions = mol.GetConformer().GetPositions()[heavy]
        if (positions < self._low).any() or (positions > self._high).any():
            return VinaEnergies(failure="outside the box")
        score = minimised = docked = None
        try:
            text = ligand_pdbqt(mol)
            self._vina.set_ligand_from_string(text)
            score = float(self._vina.score()[0])
            minimised = float(self._vina.optimize()[0])
            if dock:
                self._vina.set_ligand_from_string(text)  # the search starts from the pose as given
                self._vina.dock(exhaustiveness=self._exhaustiveness, n_poses=1)
                docked = float(self._vina.energies(n_poses=1)[0][0])
        except FAILURES as error:
            return VinaEnergies(score, minimised, docked, " ".join(str(error).split())[:200] or type(error).__name__)
        return VinaEnergies(score, minimised, docked)

    def minimised_pose(self, mol: Chem.Mol) -> Chem.Mol:
        """A copy of a molecule in Vina's next local minimum: moved, turned, and bent at its rotatable bonds.

        Hydrogens, most of which Vina does not know, are put near the atoms that they are bonded to, anew.

        Args:
            mol: sanitized, with coordinates in Å in the frame of the pocket.

        Raises:
            ValueError: if it is not inside the box, or Vina or meeko cannot do it.
        """
        heavy = Chem.RemoveAllHs(mol)
        before = heavy.GetConformer().GetPositions()
        if (before < self._low).any() or (before > self._high).any():
            raise ValueError("it is outside the box that Vina looks at")
        try:
            text = ligand_pdbqt(heavy)
            self._vina.set_ligand_from_string(text)
            self._vina.optimize()
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "pose.pdbqt")
                self._vina.write_pose(path)
                with open(path, encoding="utf-8") as file:
                    after = _pdbqt_positions(file.read())
        except FAILURES as error:
            raise ValueError(f"Vina cannot minimise it: {' '.join(str(error).split())[:200]}") from error
        # meeko orders atoms its own way: which is which is told by where they were (to 0.001 Å in its text)
        place = np.linalg.norm(before[:, None] - _pdbqt_positions(text)[None], axis=-1).argmin(1)
        heavy.GetConformer().SetPositions(np.ascontiguousarray(after[place]))
        return _with_heavy_atoms_of(mol, Chem.AddHs(heavy, addCoords=True))


class _Setup(NamedTuple):
    """What a grid of energies is made from."""

    receptor: str  # PDBQT
    centre: tuple[float, ...]
    size: tuple[float, ...]
    seed: int


@lru_cache(maxsize=1)
def _vina(setup: _Setup) -> Any:
    try:
        from vina import Vina
    except ImportError as error:
        raise ImportError(_missing("vina")) from error
    vina = Vina(sf_name="vina", cpu=1, seed=setup.seed, verbosity=0)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "receptor.pdbqt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(setup.receptor)
        vina.set_receptor(path)
    vina.compute_vina_maps([*setup.centre], [*setup.size])
    return vina


def box_around(
    reference: NDArray[np.float64] | None, protein: Protein
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and edges of the search box, (3,) and (3,) in Å.

    8 Å beyond the reference ligand's atoms (N, 3) on all sides, but edges above 30 Å, which Vina warns of, only as far
    as 5 Å need them. Without a reference: edges of 25 Å around the centre of the protein's atoms, which makes sense
    for a pocket that has been cut out.
    """
    if reference is None:
        return protein.positions.mean(axis=0), np.full(3, 25.0)
    low, high = reference.min(axis=0), reference.max(axis=0)
    extent = high - low
    return (low + high) / 2, np.maximum(extent + 10.0, np.minimum(extent + 16.0, 29.9))


def ligand_pdbqt(mol: Chem.Mol) -> str:
    """A molecule as PDBQT text with AutoDock's types and its rotatable bonds, by meeko; rings stay rigid.

    Raises:
        ImportError: if the package meeko is missing.
        ValueError: if meeko cannot prepare the molecule.
    """
    meeko = _meeko()
    with rdBase.BlockLogs():
        setup = meeko.MoleculePreparation(charge_model="zero", rigid_macrocycles=True).prepare(
            Chem.AddHs(mol, addCoords=True)
        )[0]
    text, fine, message = meeko.PDBQTWriterLegacy.write_string(setup)
    if not fine:
        raise ValueError(f"meeko cannot prepare the molecule: {message}")
    return str(text)


def _pdbqt_positions(text: str) -> NDArray[np.float64]:
    """Coordinates of all atoms in a PDBQT text, (A, 3) in Å."""
    lines = [line for line in text.splitlines() if line.startswith(("ATOM", "HETATM"))]
    return np.array([[float(line[start : start + 8]) for start in (30, 38, 46)] for line in lines])


def _with_heavy_atoms_of(mol: Chem.Mol, moved: Chem.Mol) -> Chem.Mol:
    """A molecule at the places of the same one with all hydrogens, which has its heavy atoms in the same order."""
    here, there = ([atom for atom in one.GetAtoms() if atom.GetAtomicNum() > 1] for one in (mol, moved))
    out, positions = Chem.Mol(mol), moved.GetConformer().GetPositions()
    for mine, its in zip(here, there, strict=True):
        pairs = [(mine, its), *zip(_hydrogens(mine), _hydrogens(its), strict=False)]  # it may lack hydrogens
        for atom, other in pairs:
            out.GetConformer().SetAtomPosition(atom.GetIdx(), positions[other.GetIdx()])
    return out


def _hydrogens(atom: Chem.Atom) -> list[Chem.Atom]:
    return [neighbour for neighbour in atom.GetNeighbors() if neighbour.GetAtomicNum() == 1]


def _corners(centre: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """A grid of points through the box, at most 5 Å apart, (P, 3) in Å."""
    axes = [np.linspace(c - s / 2, c + s / 2, int(np.ceil(s / 5.0)) + 1) for c, s in zip(centre, size, strict=True)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)


def _meeko() -> Any:
    try:
        import meeko
    except ImportError as error:
        raise ImportError(_missing("meeko")) from error
    return meeko


def _missing(package: str) -> str:
    return f"The package {package} is not installed, which Vina's scores need: pip install 'moldiff[docking]'"
