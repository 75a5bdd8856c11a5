"""Proteins in files: reading .pdb, .cif and both compressed, writing .pdb."""

from __future__ import annotations

import logging
import math
import os
import string
from pathlib import Path

import gemmi
from rdkit.Chem import GetPeriodicTable

from moldiff.chem.files import known_suffix, read_text
from moldiff.chem.pocket import Pocket
from moldiff.chem.protein_atoms import Protein, split_structure
from moldiff.chem.text_file import write_text

READABLE = (".pdb", ".pdb.gz", ".ent", ".ent.gz", ".cif", ".cif.gz", ".mmcif", ".mmcif.gz")
_WIDEST = 200  # columns; some programs write notes after the 80th
_LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits

_logger = logging.getLogger(__name__)


def read_pocket(path: str | os.PathLike[str]) -> Pocket:
    """The protein of a file: the heavy atoms of its amino acids.

    See `read_protein`.
    """
    return read_protein(path).chains


def read_protein(path: str | os.PathLike[str]) -> Protein:
    """The heavy atoms of the first model of a file; crystal mates are not made.

    Amino acids are ATOM records with the name of an amino acid, and HETATM records of one that a peptide bond joins to
    another (a free amino acid is a ligand). Modified ones become their standard parent (MSE: MET, SEP: SER, names of
    protonation states such as HID: HIS) and keep the parent's atoms; amino acids without a parent become UNK and keep
    all. Of alternative locations, each residue keeps the one of highest occupancy, the first letter if they are equal,
    and atoms that this one lacks. Missing atoms stay missing. Chains and numbers are the author's.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the name's ending is unknown, the file is empty, cut off, damaged, or of another format, there is
            no amino acid, a coordinate is no finite number, or an atom comes twice in a residue.
    """
    path = Path(path)
    suffix = known_suffix(path, READABLE)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    text = read_text(path)
    if not text.strip():
        raise ValueError(f"{path}: got an empty file; expected a protein")
    structure = _parse_cif(path, text) if "cif" in suffix else _parse_pdb(path, text)
    if len(structure) > 1:
        _logger.info("%s holds %d models; the first is taken", path, len(structure))
        del structure[1:]
    try:
        return split_structure(structure)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_pocket_pdb(pocket: Pocket, path: str | os.PathLike[str]) -> None:
    """Write ATOM records, atomically; an existing file is replaced. `read_pocket` reads the same pocket again.

    PDB files have one letter for a chain: chains with longer names (mmCIF) get free letters.

    Raises:
        ValueError: if there are more than 99,999 atoms or 62 chains, or a number or coordinate is too wide for its
            columns.
    """
    path = Path(path)
    if len(pocket) > 99_999:
        raise ValueError(f"{path}: got {len(pocket)} atoms; a PDB file holds at most 99999: select a pocket first")
    chains = [label.rpartition(":")[0] for label in pocket.residue_labels]
    letters = _chain_letters(chains)
    table = GetPeriodicTable()
    lines = []
    for k, residue in enumerate(pocket.residue_index.tolist()):
        number = pocket.residue_labels[residue].rpartition(":")[2]
        number, code = (number[:-1], number[-1]) if number[-1:].isalpha() else (number, " ")
        z = int(pocket.atomic_numbers[k])
        element = table.GetElementSymbol(z).upper() if z else "X"
        name = str(pocket.atom_names[k])
        name = name if len(name) == 4 or len(element) == 2 else f" {name}"
        xyz = "".join(f"{x:8.3f}" for x in pocket.positions[k].tolist())
        line = (
            f"ATOM  {k + 1:5d} {name:<4} {pocket.residue_names[k]:>3} {letters[chains[residue]]}{number:>4}{code}   "
            f"{xyz}{1.0:6.2f}{0.0:6.2f}          {element:>2}"
        )
        if len(line) != 78:
            raise ValueError(
                f"{path}: atom {k + 1} of residue {pocket.residue_labels[residue]} is too wide for PDB: {line}"
            )
        lines.append(line)
    write_text(path, "\n".join([*lines, "END", ""]))


def _chain_letters(chains: list[str]) -> dict[str, str]:
    """A letter for each chain: its own name if that is a letter or empty."""
    letters = {chain: chain or " " for chain in chains if len(chain) <= 1}
    free = iter([letter for letter in _LETTERS if letter not in letters])
    for chain in dict.fromkeys(chains):
        if chain not in letters:
            letter = next(free, None)
            if letter is None:
                raise ValueError(f"Got {len(set(chains))} chains; a PDB file has letters for 62: select a pocket first")
            letters[chain] = letter
    return letters


def check_pdb(path: Path, text: str) -> None:
    """Whether the text of a PDB file holds atoms with coordinates, and whole ones.

    Raises:
        ValueError: if not; the message names the line.
    """
    lines = text.splitlines()
    atoms = [(k, line) for k, line in enumerate(lines, 1) if line.startswith(("ATOM", "HETATM"))]
    if not atoms:
        kind = "an mmCIF file? Name it .cif" if text.lstrip().startswith("data_") else "is it a PDB file?"
        raise ValueError(f"{path}: got a file without ATOM records; {kind}")
    for number, line in atoms:
        if len(line) < 54 or not _finite(line[30:38], line[38:46], line[46:54]):
            end = "; the file is cut off there: copy it again" if number == len(lines) else ""
            raise ValueError(
                f"{path}, line {number}: got coordinates {line[30:54]!r}; expected finite x, y, z in columns 31 to 54"
                + end
            )
        if len(line) > _WIDEST:
            raise ValueError(f"{path}, line {number}: got {len(line)} columns; expected 80, so its line ends are lost")
    if text.startswith("HEADER") and not any(line.startswith(("END", "MASTER")) for line in lines[-2:]):
        _logger.warning("%s has a HEADER but no END record: it may be cut off", path)


def _parse_pdb(path: Path, text: str) -> gemmi.Structure:
    check_pdb(path, text)
    try:
        return gemmi.read_pdb_string(text)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: not a whole PDB file ({' '.join(str(error).split())})") from error


def _parse_cif(path: Path, text: str) -> gemmi.Structure:
    try:
        document = gemmi.cif.read_string(text)
        structure = gemmi.make_structure_from_block(document[0])
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).removeprefix("string:")
        raise ValueError(f"{path}: not a whole mmCIF file ({reason}); copy it again") from error
    if not len(structure):
        raise ValueError(f"{path}: got an mmCIF file without atoms (_atom_site); expected a protein")
    return structure


def _finite(*columns: str) -> bool:
    try:
        return all(math.isfinite(float(column)) for column in columns)
    except ValueError:
        return False
