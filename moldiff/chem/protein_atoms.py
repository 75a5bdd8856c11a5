"""Which atoms of a structure file are protein, and which of them are kept."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from moldiff.chem.pocket import Pocket
from moldiff.chem.residues import UNKNOWN_RESIDUE, standard_atom, standard_residue

_PEPTIDE_BOND = 1.8  # Å; N and C of neighbours are 1.33 Å apart
_Atom = tuple[str, int, gemmi.Atom]  # name and atomic number as they are kept, and the record


@dataclass(frozen=True)
class Protein:
    """What a file holds: the protein, and the rest that a `Pocket` cannot hold, in the same form."""

    chains: Pocket
    others: Pocket  # metals, cofactors, ligands, nucleic acids, caps, sugars; no waters


@dataclass(frozen=True)
class _Residue:
    label: str
    name: str
    atoms: list[_Atom]

    def has(self, atom: str) -> bool:
        return any(name == atom for name, _, _ in self.atoms)

    def position(self, atom: str) -> list[float]:
        return next(record.pos.tolist() for name, _, record in self.atoms if name == atom)


def split_structure(structure: gemmi.Structure) -> Protein:
    """The heavy atoms of the first model, told apart as `moldiff.chem.protein_files.read_protein` says.

    Raises:
        ValueError: if there is no amino acid, a coordinate is no finite number, or an atom comes twice in a residue.
    """
    chains: list[_Residue] = []
    others: list[_Residue] = []
    names: set[str] = set()
    sites = [(chain.name, site) for chain in structure[0] for site in _sites(chain)]
    hetero = []
    for chain, site in sites:
        residue = _chosen(site)
        names.add(residue.name)
        standard = standard_residue(residue.name)
        label = f"{chain}:{residue.seqid.num}{residue.seqid.icode.strip()}"
        atoms = list(_atoms(label, site, residue))
        if standard is None:
            if atoms and not residue.is_water():
                every = [(atom.name, atom.element.atomic_number, atom) for atom in atoms]
                others.append(_Residue(label, residue.name, every))
            continue
        kept = [known for atom in atoms if (known := _kept(standard, residue.name, atom)) is not None]
        if not kept:
            continue
        if residue.het_flag == "H":
            hetero.append(len(chains))
        kept = list({atom[0]: atom for atom in reversed(kept)}.values())[::-1]  # an atom under two names counts once
        chains.append(_Residue(label, standard, kept))
    _set_free_ones_apart(chains, others, hetero)
    if not chains:
        found = ", ".join(sorted(names)[:10]) or "nothing"
        raise ValueError(f"got no amino acid with heavy atoms; expected a protein. The file holds {found}")
    merged: dict[str, _Residue] = {}
    for other in others:
        label = f"{other.label} {other.name}"
        merged.setdefault(label, _Residue(label, other.name, [])).atoms.extend(other.atoms)
    return Protein(_pocket(chains), _pocket(list(merged.values())))


def _sites(chain: gemmi.Chain) -> Iterator[list[gemmi.Residue]]:
    """Residues of the same number: more than one where alternative locations differ in the residue."""
    site: list[gemmi.Residue] = []
    for residue in chain:
        same = site and residue.seqid == site[0].seqid and any(atom.has_altloc() for atom in residue)
        if site and not same:
            yield site
            site = []
        site.append(residue)
    if site:
        yield site


def _occupancies(site: list[gemmi.Residue]) -> dict[str, float]:
    """Mean occupancy of each alternative location of a site."""
    found: dict[str, list[float]] = {}
    for residue in site:
        for atom in residue:
            if atom.has_altloc():
                found.setdefault(atom.altloc, []).append(atom.occ)
    return {letter: sum(values) / len(values) for letter, values in found.items()}


def _rank(site: list[gemmi.Residue]) -> dict[str, int]:
    """Alternative locations in the order of preference; atoms that have none come first."""
    occupancies = _occupancies(site)
    ordered = sorted(occupancies, key=lambda letter: (-round(occupancies[letter], 4), letter))
    return {letter: rank for rank, letter in enumerate(["\0", *ordered])}


def _chosen(site: list[gemmi.Residue]) -> gemmi.Residue:
    if len(site) == 1:
        return site[0]
    rank = _rank(site)
    return min(site, key=lambda residue: min((rank[atom.altloc] for atom in residue), default=len(rank)))


def _atoms(label: str, site: list[gemmi.Residue], residue: gemmi.Residue) -> Iterator[gemmi.Atom]:
    """Heavy atoms of a residue, each once, in the order of the file."""
    plain = len(site) == 1 and not any(atom.has_altloc() for atom in residue)
    rank = {"\0": 0} if plain else _rank(site)
    best: dict[str, gemmi.Atom] = {}
    for atom in residue:
        if atom.is_hydrogen():
            continue
        other = best.get(atom.name)
        if other is not None and other.altloc == atom.altloc:
            raise ValueError(
                f"residue {label} ({residue.name}) has two atoms {atom.name}; expected one. If these are "
                "copies of a chain, give each copy a letter of its own"
            )
        if other is None or rank[atom.altloc] < rank[other.altloc]:
            best[atom.name] = atom
    yield from best.values()


def _kept(standard: str, name: str, atom: gemmi.Atom) -> _Atom | None:
    """Name, atomic number and record of an atom as it is kept; None if it is not."""
    if standard == UNKNOWN_RESIDUE:
        return atom.name, atom.element.atomic_number, atom
    known = standard_atom(standard, atom.name)
    if known is not None:
        return (*known, atom)
    if name != standard or atom.name.lstrip(string.digits)[:1] in ("H", "D"):  # HG may look like mercury
        return None
    return atom.name, atom.element.atomic_number, atom


def _set_free_ones_apart(chains: list[_Residue], others: list[_Residue], hetero: list[int]) -> None:
    """Move amino acids of HETATM records that no peptide bond holds to the others."""
    if not hetero:
        return
    ends = {name: [(k, r.position(name)) for k, r in enumerate(chains) if r.has(name)] for name in ("N", "C")}
    bonded: set[int] = set()
    if ends["N"] and ends["C"]:
        nitrogens, carbons = (cKDTree([place for _, place in ends[name]]) for name in ("N", "C"))
        for n, near in enumerate(nitrogens.query_ball_tree(carbons, _PEPTIDE_BOND)):
            first = ends["N"][n][0]
            for second in (ends["C"][c][0] for c in near):
                if first != second:
                    bonded |= {first, second}
    for k in sorted(set(hetero) - bonded, reverse=True):
        others.append(chains.pop(k))


def _pocket(residues: list[_Residue]) -> Pocket:
    """All residues as one pocket."""
    rows = [(k, r.name, *atom) for k, r in enumerate(residues) for atom in r.atoms]
    positions = np.array([row[4].pos.tolist() for row in rows], dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(positions).all():
        index, name, atom, *_ = rows[int(np.flatnonzero(~np.isfinite(positions).all(1))[0])]
        place = f"atom {atom} of residue {residues[index].label} ({name})"
        raise ValueError(f"{place} has coordinates that are no finite numbers; expected x, y, z in Å")
    return Pocket(
        positions,
        np.array([row[3] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.str_),
        np.array([row[1] for row in rows], dtype=np.str_),
        np.array([row[0] for row in rows], dtype=np.int64),
        tuple(residue.label for residue in residues),
    )
