"""Reference sets: the molecules that are not novel, as sets of hashes. That of QM9 comes with the package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.files import READABLE, Bonds, read_molecules, read_text
from moldiff.chem.smiles import canonical_smiles
from moldiff.metrics.edm import edm_smiles, edm_whole_smiles
from moldiff.metrics.novelty import HashSet

BUNDLED = ("qm9",)
"""The names that `load_reference` knows without a file."""

_MAGIC = b"moldiff reference set 1\n"
_NUM_PROBES = 100


@dataclass(frozen=True)
class Reference:
    """A set of known molecules, by both kinds of SMILES that novelty is judged by.

    Canonical SMILES differ between versions of RDKit. `probes` are some SMILES of the set: `drift` tells how many of
    them this RDKit writes differently, which would make known molecules look novel.
    """

    name: str
    smiles: HashSet  # by `moldiff.metrics.novelty.canonical_smiles`, of the true molecules
    edm_smiles: HashSet  # by EDM's distance table, hydrogens as atoms
    num_molecules: int  # that the set was built from
    rdkit_version: str = rdBase.rdkitVersion
    probes: tuple[str, ...] = ()
    skipped: int = 0  # records that could not be read

    @classmethod
    def of(
        cls, name: str, molecules: Iterable[Chem.Mol | None], geometries: Iterable[Chem.Mol | MoleculeArrays | None]
    ) -> Reference:
        """Build the set from molecules with bonds and (perhaps the same) molecules with coordinates."""
        smiles, count, skipped = [], 0, 0
        for mol in molecules:
            count += 1
            text = None if mol is None else _smiles_or_none(mol)
            if text is None:
                skipped += 1
            else:
                smiles.append(text)
        edm = HashSet.of(text for text in map(edm_whole_smiles, geometries) if text is not None)
        probes = tuple(smiles[:: max(1, len(smiles) // _NUM_PROBES)][:_NUM_PROBES])
        return cls(name, HashSet.of(smiles), edm, count, probes=probes, skipped=skipped)

    @classmethod
    def of_smiles(cls, name: str, smiles: Iterable[str]) -> Reference:
        """Build the set from SMILES alone; for EDM's rule, the bonds then stand in for the distances."""
        with rdBase.BlockLogs():
            molecules: list[Chem.Mol | None] = [Chem.MolFromSmiles(text) for text in smiles]
        reference = cls.of(name, molecules, ())
        graphs = [_edm_smiles_of_graph(mol) for mol in molecules if mol is not None]
        return replace(reference, edm_smiles=HashSet.of(text for text in graphs if text is not None))

    def drift(self) -> float:
        """The share of `probes` that this RDKit writes differently than the one that built the set; it should be 0."""
        now = [canonical_smiles(Chem.MolFromSmiles(probe)) for probe in self.probes]
        return 1.0 - float(self.smiles.contains(now).mean()) if now else 0.0

    def to_bytes(self) -> bytes:
        """One file: a magic line, a line of JSON, and both sets of hashes."""
        payload = self.smiles.to_bytes() + self.edm_smiles.to_bytes()
        header = {
            "name": self.name,
            "num_molecules": self.num_molecules,
            "skipped": self.skipped,
            "num_smiles": len(self.smiles),
            "num_edm_smiles": len(self.edm_smiles),
            "rdkit_version": self.rdkit_version,
            "sha256": hashlib.sha256(payload).hexdigest(),
            "probes": self.probes,
        }
        return _MAGIC + json.dumps(header).encode() + b"\n" + payload

    @classmethod
    def from_bytes(cls, data: bytes) -> Reference:
        """Undo `to_bytes`.

        Raises:
            ValueError: if the data is of another kind, or damaged.
        """
        if not data.startswith(_MAGIC):
            raise ValueError(f"Got {data[:24]!r}...; expected a reference set of moldiff, version 1")
        line, _, payload = data[len(_MAGIC) :].partition(b"\n")
        header = json.loads(line)
        if hashlib.sha256(payload).hexdigest() != header["sha256"]:
            raise ValueError(f"The reference set {header['name']!r} is damaged: its checksum does not fit")
        split = len(payload) * header["num_smiles"] // (header["num_smiles"] + header["num_edm_smiles"] or 1)
        return cls(
            header["name"],
            HashSet.from_bytes(payload[:split]),
            HashSet.from_bytes(payload[split:]),
            header["num_molecules"],
            header["rdkit_version"],
            tuple(header["probes"]),
            header["skipped"],
        )


def load_reference(name: str, bonds: Bonds = "rdkit") -> Reference:
    """A reference by its name ("qm9": the 100,000 training molecules of EDM's split of QM9) or from a user's file.

    Args:
        name: "qm9", or the path of a .sdf, .sdf.gz, .xyz, .npz or .smi file (one SMILES at the start of each line).
        bonds: how bonds are found in a file without them, see `moldiff.chem.files`.

    Raises:
        ValueError: if the name is neither, or no molecule of the file can be read.
        FileNotFoundError: if there is no such file.
    """
    if name in BUNDLED:
        return _bundled(name)
    path = Path(name)
    if path.suffix.lower() in (".smi", ".smiles"):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        lines = read_text(path).splitlines()
        reference = Reference.of_smiles(path.name, [line.split()[0] for line in lines if line.strip()])
    elif path.name.lower().endswith(READABLE):
        molecules = read_molecules(path, bonds)
        reference = Reference.of(path.name, molecules, molecules)
    else:
        raise ValueError(
            f"Got the reference {name!r}; expected {' or '.join(BUNDLED)}, or a file that ends in {', '.join(READABLE)}"
        )
    if not len(reference.smiles):
        raise ValueError(
            f"{path}: none of {reference.num_molecules} molecules can be read as a reference; expected whole ones, or "
            "SMILES"
        )
    return reference


@lru_cache
def _bundled(name: str) -> Reference:
    return Reference.from_bytes(files(__package__).joinpath(f"{name}_train.bin").read_bytes())


def _smiles_or_none(mol: Chem.Mol) -> str | None:
    copy = Chem.Mol(mol)
    with rdBase.BlockLogs():
        failed = Chem.SanitizeMol(copy, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE
    return None if failed else canonical_smiles(copy)


def _edm_smiles_of_graph(mol: Chem.Mol) -> str | None:
    full = Chem.AddHs(mol)
    Chem.Kekulize(full, clearAromaticFlags=True)
    n = full.GetNumAtoms()
    orders = np.zeros(n * (n - 1) // 2, dtype=np.int8)
    for bond in full.GetBonds():
        j, i = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        orders[i * (i - 1) // 2 + j] = int(bond.GetBondTypeAsDouble())
    return edm_smiles([atom.GetAtomicNum() for atom in full.GetAtoms()], orders, largest_fragment=False)
