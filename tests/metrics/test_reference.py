"""Reference sets, samples, and the records of QM9 that they are built from."""

import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.smiles import canonical_smiles
from moldiff.metrics.reference import Reference, load_reference
from moldiff.metrics.reference import __main__ as building
from moldiff.metrics.reference import sample as module
from moldiff.metrics.reference.__main__ import main, qm9_records
from moldiff.metrics.reference.sample import ReferenceSample
from moldiff.metrics.strict import StrictVerdict

Embed = Callable[[str], Chem.Mol]


@pytest.mark.parametrize("count", [1, 99, 100, 150, 250])
def test_probes_are_spread_through_the_set(count: int) -> None:
    """100 of them, or all there are; the gaps between them are the same."""
    mols = [Chem.MolFromSmiles("".join(parts)) for parts in islice(product("CNOS", repeat=4), count)]
    reference = Reference.of("mine", mols, ())
    smiles = [canonical_smiles(mol) for mol in mols]
    assert list(reference.probes) == smiles[:: max(1, count // 100)][:100]
    assert len(reference.probes) == min(count, 100)
    assert reference.drift() == 0.0


def test_all_that_a_set_knows_survives(embed: Embed) -> None:
    known = replace(Reference.of("mine", [embed("CCO"), embed("C"), None], [embed("C")]), rdkit_version="1999.09")
    again = Reference.from_bytes(known.to_bytes())
    assert (again.skipped, again.rdkit_version, len(again.smiles), len(again.edm_smiles)) == (1, "1999.09", 2, 1)


@pytest.mark.parametrize("smiles", ["C=C", "C1=CC=CN1", "CC(=O)C#N", "OC1CC1"])
def test_bonds_of_a_graph_stand_in_for_distances(smiles: str, embed: Embed) -> None:
    by_graph, by_geometry = Reference.of_smiles("", [smiles]), Reference.of("", [], [embed(smiles)])
    assert by_graph.edm_smiles.hashes.tolist() == by_geometry.edm_smiles.hashes.tolist()


def test_what_rdkit_does_not_sanitize_is_skipped() -> None:
    broken = Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False)
    reference = Reference.of("mine", [broken, Chem.MolFromSmiles("C")], [])
    assert (reference.num_molecules, reference.skipped, len(reference.smiles)) == (2, 1, 1)
    assert broken.NeedsUpdatePropertyCache()  # it is not changed


def test_lines_without_a_smiles_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "A.SMI").write_text("\n  \nCCO first\nCCN\n")
    reference = load_reference(str(tmp_path / "A.SMI"))
    assert (reference.name, reference.num_molecules, reference.skipped) == ("A.SMI", 2, 0)


@pytest.mark.parametrize(("given", "looked_at"), [(0, 0), (1, 1), (10_000, 10_000), (10_001, 5001), (20_001, 6667)])
def test_a_sample_looks_at_10000_molecules_at_most(given: int, looked_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "strict_verdict", lambda mol: StrictVerdict(None, "C"))
    assert len(ReferenceSample.of("many", [Chem.Mol()] * given).smiles) == looked_at


def test_a_sample_has_the_valid_ones_and_what_has_coordinates(embed: Embed) -> None:
    flat, radical = Chem.AddHs(Chem.MolFromSmiles("CC")), Chem.MolFromSmiles("[CH3]")
    sample = ReferenceSample.of("mine", [embed("CCO"), None, flat, radical])
    assert sample.smiles == ("CCO", "CC")
    assert sample.profile is not None
    assert sample.profile.num_molecules == 1
    assert sample.profile.histograms["sizes"].counts.nonzero()[1].tolist() == [9]
    again = ReferenceSample.from_bytes(sample.to_bytes())
    assert again.name == "mine"
    assert again.profile is not None
    assert again.profile.to_dict() == sample.profile.to_dict()
    bare = ReferenceSample.of("mine", [flat])
    assert bare.profile is None
    assert ReferenceSample.from_bytes(bare.to_bytes()) == bare


def test_samples_of_another_version_are_refused() -> None:
    values = json.loads(lzma.decompress(ReferenceSample.of("mine", []).to_bytes()))
    values["version"] = 9
    with pytest.raises(ValueError, match="version 9; expected 1"):
        ReferenceSample.from_bytes(lzma.compress(json.dumps(values).encode()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files as those of qm9pack, with water, methane and hydrogen cyanide."""
    for part, (smiles, symbols, x) in enumerate(
        [
            ("O", "['O', 'H', 'H']", "[[0.0, 0.1, 0.2], [0.76, 0.6, 0.0], [-0.76, 0.6, 0.0]]"),
            ("C", "['C', 'H', 'H', 'H', 'H']", str((np.arange(15) / 8).reshape(5, 3).tolist())),
            ("C#N", "['C', 'N', 'H']", "[[0.0, 0.0, 0.0], [1.15, 0.0, 0.0], [-1.07, 0.0, 0.0]]"),
        ]
    ):
        text = f'Index,SMILES,Elements,XYZ_Ang\n0,{smiles},"{symbols}","{x}"\n'
        (tmp_path / f"qm9_part{part + 1}.csv").write_text(text)
    return tmp_path


def test_records_of_qm9(folder: Path) -> None:
    found = list(qm9_records(folder))
    assert [smiles for smiles, _ in found] == ["O", "C", "C#N"]
    assert [arrays.atomic_numbers.tolist() for _, arrays in found] == [[8, 1, 1], [6, 1, 1, 1, 1], [6, 7, 1]]
    np.testing.assert_allclose(found[1][1].positions, (np.arange(15) / 8).reshape(5, 3))
    assert [arrays.charges.tolist() for _, arrays in found] == [[0] * 3, [0] * 5, [0] * 3]


def test_the_set_is_built_from_the_training_molecules(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = type("Split", (), {"train": np.array([2, 0])})
    monkeypatch.setattr(building, "qm9pack_folder", lambda: folder)
    monkeypatch.setattr(building, "edm_split", lambda: split)
    with pytest.raises(ValueError, match="Got 3 molecules from qm9pack; expected 130831"):
        main(tmp_path / "set.bin")
    with pytest.raises(ValueError, match=r"ends in \.bin"):
        main(tmp_path / "set.txt")
    monkeypatch.setattr(building, "NUM_QM9", 3)
    text = main(tmp_path / "set.bin")
    known = Reference.from_bytes((tmp_path / "set.bin").read_bytes())
    assert known.smiles.contains(["O", "C#N", "C"]).tolist() == [True, True, False]
    assert (known.num_molecules, len(known.edm_smiles)) == (2, 2)
    assert "2 molecules, 0 unreadable, 2 distinct SMILES" in text
