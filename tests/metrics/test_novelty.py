"""Canonical SMILES, sets of hashes, and reference sets."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.files import MoleculeWriter
from moldiff.chem.smiles import canonical_smiles
from moldiff.metrics import reference as reference_module
from moldiff.metrics.edm import edm_verdict
from moldiff.metrics.novelty import HASH_BYTES, HashSet
from moldiff.metrics.reference import Reference, load_reference

Embed = Callable[[str], Chem.Mol]


@pytest.mark.parametrize(
    ("smiles", "canonical"),
    [
        ("[H]C([H])([H])[H]", "C"),
        ("C[C@H](O)F", "CC(O)F"),
        ("F/C=C/F", "FC=CF"),
        ("C/C=N/[H]", "CC=N"),  # RDKit would keep this hydrogen, for the stereochemistry
        ("C1=CC=CC=C1", "c1ccccc1"),
        ("[2H]OC([2H])([2H])[2H]", "CO"),  # RDKit would keep a hydrogen with a label
        ("[13CH3:1][OH:2]", "CO"),
    ],
)
def test_canonical_smiles(smiles: str, canonical: str) -> None:
    parameters = Chem.SmilesParserParams()
    parameters.removeHs = False
    mol = Chem.MolFromSmiles(smiles, parameters)
    before = mol.ToBinary()
    assert canonical_smiles(mol) == canonical
    assert mol.ToBinary() == before


def test_hash_set() -> None:
    strings = [f"molecule {k}" for k in range(1000)]
    known = HashSet.of(strings + strings[:10])
    assert len(known) == 1000
    assert known.contains(strings).all()
    assert not known.contains([f"other {k}" for k in range(1000)]).any()
    assert known.contains([]).shape == (0,)
    assert not HashSet.of([]).contains(["a"]).any()
    assert (np.diff(known.hashes.astype(np.int64)) > 0).all()
    assert int(known.hashes.max()) < 2 ** (8 * HASH_BYTES)


def test_hash_is_blake2b() -> None:
    assert int(HashSet.of(["C"]).hashes[0]) == int.from_bytes(hashlib.blake2b(b"C", digest_size=5).digest(), "big")


def test_hash_set_as_bytes() -> None:
    known = HashSet.of([str(k) for k in range(100)])
    data = known.to_bytes()
    assert len(data) == 100 * HASH_BYTES
    assert (HashSet.from_bytes(data).hashes == known.hashes).all()
    with pytest.raises(ValueError, match="multiple of 5"):
        HashSet.from_bytes(data[:-1])
    with pytest.raises(ValueError, match="damaged"):
        HashSet.from_bytes(data[5:10] + data[:5])


def test_reference_from_smiles_and_from_geometries_agree(embed: Embed) -> None:
    smiles = ["CCO", "C#N", "CC(F)F", "C=O"]
    by_graph = Reference.of_smiles("mine", [*smiles, "nonsense"])
    mols = [embed(text) for text in smiles]
    by_geometry = Reference.of("mine", [*mols, None], mols)
    assert (by_graph.num_molecules, by_graph.skipped) == (by_geometry.num_molecules, by_geometry.skipped) == (5, 1)
    assert (by_graph.smiles.hashes == by_geometry.smiles.hashes).all()
    assert (by_graph.edm_smiles.hashes == by_geometry.edm_smiles.hashes).all()


def test_reference_as_bytes(embed: Embed) -> None:
    known = Reference.of("mine", [embed("CCO"), embed("C")], [embed("C")])
    again = Reference.from_bytes(known.to_bytes())
    assert (again.name, again.num_molecules, again.probes) == (known.name, known.num_molecules, known.probes)
    assert (again.smiles.hashes == known.smiles.hashes).all()
    assert (again.edm_smiles.hashes == known.edm_smiles.hashes).all()
    data = bytearray(known.to_bytes())
    data[-1] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        Reference.from_bytes(bytes(data))
    with pytest.raises(ValueError, match="expected a reference set"):
        Reference.from_bytes(b"PK")


def test_reference_without_molecules_as_bytes() -> None:
    assert len(Reference.from_bytes(Reference.of("none", [], []).to_bytes()).smiles) == 0


def test_the_training_molecules_of_qm9(embed: Embed) -> None:
    known = load_reference("qm9")
    assert known.num_molecules == 100_000
    assert (len(known.smiles), len(known.edm_smiles)) == (99_953, 97_627)
    assert known.drift() == 0.0
    assert known.smiles.contains(["CC#N", "c1ccccc1", "CCCCCCCCCCCCC"]).tolist() == [True, True, False]
    verdict = edm_verdict(embed("CC#N"))
    assert verdict is not None
    assert verdict.smiles is not None
    assert known.edm_smiles.contains([verdict.smiles]).all()


def test_drift_of_canonical_smiles_is_noticed() -> None:
    known = Reference.of_smiles("mine", ["CCO", "CCN"])
    assert known.drift() == 0.0
    assert replace(known, smiles=HashSet.of(["CCN", "OCC"])).drift() == 0.5


def test_users_files(embed: Embed, tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("CCO ethanol\n\nc1ccccc1\tbenzene\n")
    assert load_reference(str(tmp_path / "a.smi")).smiles.contains(["CCO", "c1ccccc1"]).all()
    with MoleculeWriter(tmp_path / "a.sdf") as writer:
        writer.write(embed("CCO"))
        writer.write(None)
    known = load_reference(str(tmp_path / "a.sdf"))
    assert known.smiles.contains(["CCO"]).all()
    assert (known.num_molecules, known.skipped, len(known.edm_smiles)) == (2, 1, 1)


def test_users_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Got the reference 'qm10'; expected qm9, or a file"):
        load_reference("qm10")
    for name in ("no.smi", "no.sdf"):
        with pytest.raises(FileNotFoundError, match="no such file"):
            load_reference(str(tmp_path / name))
    (tmp_path / "a.smi").write_text("nonsense\n")
    with pytest.raises(ValueError, match="none of 1 molecules"):
        load_reference(str(tmp_path / "a.smi"))


def test_scores_need_no_torch() -> None:
    code = "import moldiff.metrics, moldiff.chem.files, sys; sys.exit('torch' in sys.modules)"
    folder = Path(reference_module.__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, env=dict(os.environ), check=False).returncode == 0
