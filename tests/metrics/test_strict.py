"""The strict rule: what it accepts, and the cause it names for what it does not."""

from collections.abc import Callable

import numpy as np
import pytest
from rdkit import Chem

from moldiff.chem.arrays import MoleculeArrays, from_mol, to_mol
from moldiff.metrics.novelty import HashSet
from moldiff.metrics.strict import AtomFault, Cause, StrictScores, StrictVerdict, atom_faults, strict_verdict

Embed = Callable[[str], Chem.Mol]

VALID = ["C", "CCO", "c1ccccc1", "C#N", "C[N+](C)(C)CC([O-])=O", "[C-]#[O+]", "C[N+](=O)[O-]", "c1cc[nH]c1", "F"]


def molecule(text: str) -> Chem.Mol:
    """From SMILES with all atoms written out; not sanitized."""
    parameters = Chem.SmilesParserParams()
    parameters.sanitize = False
    parameters.removeHs = False
    return Chem.MolFromSmiles(text, parameters)


@pytest.mark.parametrize("smiles", VALID)
def test_valid_molecules(smiles: str, embed: Embed) -> None:
    mol = embed(smiles)
    before = mol.ToBinary()
    verdict = strict_verdict(mol)
    assert verdict == StrictVerdict(None, Chem.CanonSmiles(smiles), 0)
    assert mol.ToBinary() == before
    assert strict_verdict(to_mol(from_mol(mol))) == verdict
    Chem.SanitizeMol(mol)  # aromatic bonds
    assert strict_verdict(mol) == verdict


@pytest.mark.parametrize(
    ("smiles", "charge"), [("[H][N+]([H])([H])[H]", 1), ("[H][O-]", -1), ("[H][C+]([H])[H]", 1), ("[F-]", -1)]
)
def test_ions_are_valid_but_not_neutral(smiles: str, charge: int) -> None:
    verdict = strict_verdict(molecule(smiles))
    assert verdict.cause is None
    assert verdict.net_charge == charge
    assert StrictScores.of([verdict]).neutral.count == 0


@pytest.mark.parametrize(
    ("smiles", "cause"),
    [
        ("[H][C]([H])([H])([H])[H]", Cause.VALENCE),
        ("[H][N]([H])([H])[H]", Cause.VALENCE),  # ammonium without its charge
        ("[H][C]([H])[H]", Cause.RADICAL),
        ("[H][C][H]", Cause.RADICAL),
        ("[H][N+]([H])[H]", Cause.RADICAL),
        ("[H]O[H].[H]O[H]", Cause.FRAGMENTS),
        ("[H].[H]", Cause.NO_BONDS),
        ("[C]", Cause.RADICAL),
        ("[H+]", Cause.VALENCE),
        ("[Fe]", Cause.VALENCE),
        ("[H]O[Fe]O[H]", Cause.VALENCE),
        ("[H]O[*]", Cause.VALENCE),
        ("[H][N+2]([H])([H])([H])[H]", Cause.VALENCE),
        ("[H]c1c([H])c([H])c([H])c1[H]", Cause.SANITIZE),  # five aromatic carbons
        ("C", Cause.RADICAL),  # hydrogens must be atoms
        ("[H]N([H])([H])->[B]([H])([H])[H]", Cause.VALENCE),  # a dative bond has no order
    ],
)
def test_causes(smiles: str, cause: Cause) -> None:
    assert strict_verdict(molecule(smiles)) == StrictVerdict(cause)


def test_marked_radicals(embed: Embed) -> None:
    mol = embed("C")
    mol.GetAtomWithIdx(0).SetNumRadicalElectrons(1)
    assert strict_verdict(mol).cause is Cause.RADICAL


def test_missing_molecules(embed: Embed) -> None:
    broken = embed("C")
    broken.GetConformer().SetAtomPosition(0, (np.nan, 0.0, 0.0))
    for mol in (None, Chem.Mol(), broken):
        assert strict_verdict(mol) == StrictVerdict(Cause.MISSING)


def test_order_of_atoms_does_not_matter(embed: Embed) -> None:
    mol = embed("NC(=O)c1ccoc1")
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
        assert strict_verdict(Chem.RenumberAtoms(mol, order)) == strict_verdict(mol)


def test_bonds_as_given_not_as_the_distances_say() -> None:
    """Stretched water is one molecule for the strict rule, with the bonds that it was given."""
    arrays = MoleculeArrays(
        np.array([8, 1, 1]), np.array([[0.0, 0, 0], [3, 0, 0], [0, 3, 0]]), np.zeros(3, dtype=np.int64),
        np.array([1, 1, 0], dtype=np.int8),
    )  # fmt: skip
    assert strict_verdict(to_mol(arrays)).smiles == "O"


def test_counting() -> None:
    verdicts = [StrictVerdict(None, "C"), StrictVerdict(None, "C"), StrictVerdict(None, "[NH4+]", 1)]
    scores = StrictScores.of([*verdicts, StrictVerdict(Cause.RADICAL)], HashSet.of(["C"]), requested=6)
    assert (scores.valid.count, scores.valid.total) == (3, 6)
    assert (scores.valid_and_unique.count, scores.valid_and_unique.total) == (2, 6)
    assert (scores.unique.count, scores.unique.total) == (2, 3)
    assert (scores.neutral.count, scores.neutral.total) == (2, 3)
    assert scores.novel is not None
    assert (scores.novel.count, scores.novel.total) == (1, 2)
    assert {cause: share.count for cause, share in scores.causes.items() if share.count} == {
        Cause.RADICAL: 1,
        Cause.MISSING: 2,
    }
    assert scores.valid.count + sum(share.count for share in scores.causes.values()) == 6


@pytest.mark.parametrize(
    ("smiles", "fault"),
    [
        ("[H][C]([H])([H])([H])[H]", AtomFault(1, Cause.VALENCE, "5 bonds, expected 4")),
        ("[H][N+]([H])[H]", AtomFault(1, Cause.RADICAL, "3 bonds at charge +1, expected 4")),
        ("[H+]", AtomFault(0, Cause.VALENCE, "charge +1, which the rule does not know")),
        ("[Fe]", AtomFault(0, Cause.VALENCE, "no valence that the rule knows")),
        ("[H][P]([H])([H])[H]", AtomFault(1, Cause.RADICAL, "4 bonds, expected 3 or 5")),
    ],
)
def test_atoms_at_fault_are_named(smiles: str, fault: AtomFault) -> None:
    mol = molecule(smiles)
    assert atom_faults(mol) == [fault]
    assert strict_verdict(mol).cause is fault.cause


@pytest.mark.parametrize("smiles", VALID)
def test_no_atom_of_a_valid_molecule_is_at_fault(smiles: str, embed: Embed) -> None:
    assert atom_faults(embed(smiles)) == []
