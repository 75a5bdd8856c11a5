"""A formula: molecules have it exactly, classes are fitted to it, and wrong ones are told."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from moldiff import MoleculeGenerator
from moldiff.chem.vocabulary import DRUG_VOCABULARY, Vocabulary
from moldiff.cli import main
from moldiff.diffusion import (
    CategoricalProcess,
    GaussianProcess,
    JointProcess,
    OneHotGaussianProcess,
    RadiusOfGyration,
    StreamNoise,
)
from moldiff.diffusion import formula as module
from moldiff.diffusion.conditions import dress
from moldiff.diffusion.formula import FormulaProcess, fit_counts, read_formula, warn_if_odd
from moldiff.diffusion.sampler import EulerSampler
from moldiff.models import EquivariantGraphTransformer, Prediction
from moldiff.models.denoiser import FIELDS
from moldiff.testing import QM9, random_batch
from moldiff.training import DiffusionModule


def tiny(statistics, elements=CategoricalProcess):
    """A tiny model with random weights; `elements`: None = it has none."""
    torch.manual_seed(0)
    network = partial(EquivariantGraphTransformer, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=1)
    fields = {"pos": GaussianProcess(), "charges": CategoricalProcess(), "bond_types": CategoricalProcess()}
    if elements is not None:
        fields["atom_types"] = elements()
    made = DiffusionModule(network, fields, EulerSampler(jump_rate=2.0), num_steps=3)
    made.build(statistics)
    return MoleculeGenerator(made.model(), "tiny", "cpu", "float32")


def formula_of(mol):
    """Without the charge, which random weights give."""
    return CalcMolFormula(mol).split("-")[0].split("+")[0]


@pytest.fixture(scope="module")
def generator(statistics):
    return tiny(statistics)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("C7H10O2", {"C": 7, "H": 10, "O": 2}),
        ("CH4", {"C": 1, "H": 4}),
        ("HOCH2CH2OH", {"H": 6, "O": 2, "C": 2}),
        ("CF4", {"C": 1, "F": 4}),
    ],
)
def test_formulas_are_read(text, counts, caplog):
    assert read_formula(text, QM9) == counts
    warn_if_odd(text, QM9)
    assert not caplog.records


@pytest.mark.parametrize("text", ["", "c7h10", "C7H10O2+", "7CH4", "C0H4", "C-H", "C 2"])
def test_no_formula(text):
    with pytest.raises(ValueError, match="expected elements and their numbers, such as C7H10O2"):
        read_formula(text, QM9)


def test_unknown_elements_are_told():
    with pytest.raises(ValueError, match="got the formula C2H5Cl: the model knows H, C, N, O, F"):
        read_formula("C2H5Cl", QM9)
    with pytest.raises(ValueError, match="hydrogens are added afterwards: leave out H"):
        read_formula("C2H5Cl", DRUG_VOCABULARY)
    assert read_formula("C2Cl", DRUG_VOCABULARY) == {"C": 2, "Cl": 1}


def test_known_molecules_of_many_bonds_are_not_warned_of(caplog):
    for text in ("SF6", "PF5", "H2SO4"):
        warn_if_odd(text, Vocabulary(("H", "C", "O", "F", "P", "S")))
    assert not caplog.records


def test_formulas_of_too_many_atoms_are_refused():
    for text in ("C999H999", "C99999999999999999999"):
        with pytest.raises(ValueError, match="expected at most 1000 atoms"):
            read_formula(text, QM9)


@pytest.mark.parametrize("text", ["C7H11O2", "CH6", "H3"])
def test_radicals_and_too_many_hydrogens_are_warned_of(text, caplog):
    warn_if_odd(text, QM9)
    assert f"no uncharged molecule without unpaired electrons has the formula {text}" in caplog.text


def test_every_molecule_has_the_formula(generator):
    """Whatever the network says: it has random weights; in whatever batches."""
    options = {"num_samples": 5, "seed": 3, "progress": False, "formula": "C3H7NO"}
    samples = generator.sample(**options)
    assert [formula_of(mol) for mol in samples.raw] == ["C3H7NO"] * 5
    assert {mol.GetProp("moldiff_target_formula") for mol in samples.raw} == {"C3H7NO"}
    assert len({tuple(a.atomic_numbers.tolist()) for a in samples.arrays}) > 1
    for one, other in zip(samples.arrays, generator.sample(**options, batch_size=2).arrays, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-4)
        assert one.atomic_numbers.tolist() == other.atomic_numbers.tolist()


def test_with_fixed_atoms(generator):
    mol = Chem.AddHs(Chem.MolFromSmiles("CO"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    fragment = Chem.RWMol(mol)
    fragment.RemoveAtom(mol.GetNumAtoms() - 1)
    fixed = generator.fixed(fragment.GetMol())
    drawn = generator.sample(4, progress=False, fixed=fixed, formula="C3H8O2").raw
    assert [formula_of(mol) for mol in drawn] == ["C3H8O2"] * 4
    for mol in drawn:
        assert [mol.GetAtomWithIdx(i).GetSymbol() for i in range(5)] == ["C", "O", "H", "H", "H"]
    for formula in ("C3H2O2", "CH3O"):
        with pytest.raises(ValueError, match=f"got the formula {formula}: the fixed atoms have all or more"):
            generator.sample(1, progress=False, fixed=fixed, formula=formula)


def test_in_a_pocket_and_without_hydrogens():
    """Of heavy atoms; the reference ligand says where, not how many."""
    entry = sorted((Path(__file__).parent / "fixtures" / "pockets" / "complexes").iterdir())[0]
    generator = MoleculeGenerator.from_pretrained("pocket", "cpu", "float32")
    site = generator.site(entry / "pocket.pdb", entry / "ligand.sdf")
    drawn = generator.sample(2, num_steps=2, progress=False, site=site, formula="C6N2OCl")
    for arrays in drawn.arrays:
        assert sorted(arrays.atomic_numbers.tolist()) == [6] * 6 + [7] * 2 + [8, 17]


def test_an_odd_formula_is_warned_of_once(generator, caplog):
    generator.sample(3, progress=False, formula="CH5", batch_size=1)
    assert caplog.text.count("has the formula CH5") == 1


def test_sizes_must_agree(generator):
    assert len(generator.sample(1, progress=False, formula="CH4", num_atoms=5).arrays[0]) == 5
    for wrong in (6, [5, 5, 5], []):
        with pytest.raises(ValueError, match="the formula has 5 atoms: leave one of them out"):
            generator.sample(1, progress=False, formula="CH4", num_atoms=wrong)


def test_models_without_classes_are_refused(statistics):
    for elements in (OneHotGaussianProcess, None):
        with pytest.raises(ValueError, match="needs a model whose elements are drawn as classes"):
            tiny(statistics, elements).sample(1, progress=False, formula="CH4")


@pytest.mark.parametrize("overshoot", [0.0, 1.0])
def test_fitted_classes_have_the_expected_numbers(monkeypatch, overshoot):
    """Those wanted, or beyond them by what was lacking; the odds of two atoms for two classes stay what they were."""
    monkeypatch.setattr(module, "OVERSHOOT", overshoot)
    random = torch.Generator().manual_seed(0)
    p = torch.rand(3, 20, 4, generator=random, dtype=torch.float64).softmax(-1)
    mask = torch.ones(3, 20, dtype=torch.bool)
    counts = torch.tensor([6.0, 5.0, 5.0, 4.0], dtype=torch.float64)
    fitted = fit_counts(p, counts, mask)
    torch.testing.assert_close(fitted.sum(-1), torch.ones(3, 20).double())
    torch.testing.assert_close(fitted.sum(1), counts + overshoot * (counts - p.sum(1)), atol=1e-3, rtol=0)

    def odds(x):
        return x[:, 0, 0] * x[:, 1, 1] / (x[:, 0, 1] * x[:, 1, 0])

    torch.testing.assert_close(odds(fitted), odds(p))


def test_padding_has_no_effect():
    p = torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(1)).softmax(-1)
    mask = torch.tensor([[True] * 4 + [False] * 2] * 2)
    counts = torch.tensor([2.0, 1.0, 1.0])
    fitted = fit_counts(p, counts, mask)
    torch.testing.assert_close(fitted[:, :4], fit_counts(p[:, :4], counts, mask[:, :4]))
    assert torch.equal(fitted[:, 4:], p[:, 4:])


def test_decoding_is_the_likeliest_assignment(statistics):
    """Of all that have the formula, by trying them all; padded molecules, too."""
    from itertools import permutations

    process = FormulaProcess(
        JointProcess({"pos": GaussianProcess(), **{f: CategoricalProcess() for f in FIELDS[1:]}}, statistics),
        torch.tensor([2, 1, 0, 1, 0]),
    )
    output = random_batch(statistics.vocabulary, (4, 4), relaxed=True)
    estimate = Prediction(*(getattr(output, name).float() for name in FIELDS))
    p = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(0))
    estimate = Prediction(estimate.pos, p / p.sum(-1, keepdim=True), estimate.charges, estimate.bond_types)
    found = process.decode(estimate, torch.ones(2, 4, dtype=torch.bool)).atom_types
    for row in range(2):
        best = max(permutations([0, 0, 1, 3]), key=lambda types: sum(p[row, i, k].log() for i, k in enumerate(types)))
        assert found[row].tolist() == list(best)
    with pytest.raises(ValueError, match="the formula has 4 new atoms"):
        process.decode(estimate, torch.tensor([[True] * 4, [True] * 3 + [False]]))


@pytest.mark.parametrize("guides", [[], [RadiusOfGyration(2.0)]])
def test_noise_of_rounds_is_about_the_middle(generator, guides):
    """Corrupted molecules need not be centred before."""
    process = dress(generator.model, {"formula": "CH2O", "guides": guides}).process
    clean = random_batch(generator.model.statistics.vocabulary, (4,))
    clean = clean.replace(pos=clean.pos.float() + 5)
    noisy = process.corrupt(clean, torch.full((1,), 0.5), StreamNoise(torch.Generator().manual_seed(0)))
    torch.testing.assert_close(noisy.pos.mean(1), clean.pos.mean(1))


def test_an_improved_molecule_has_no_given_formula(generator):
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    with pytest.raises(ValueError, match="leave out `formula`"):
        list(generator.optimize(mol, "qed", formula="C2H6O"))


def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["sample", "--model=qm9", "--num_samples=2", "--num_steps=8", "--formula=C4H8O", "--out=four.sdf"])
    assert [CalcMolFormula(mol) for mol in Chem.SDMolSupplier("four.sdf", removeHs=False)] == ["C4H8O"] * 2
    with pytest.raises(SystemExit) as stop:
        main(["sample", "--num_samples=2", "--formula=C4H8S", "--out=other.sdf"])
    assert stop.value.code == 2
    assert "the model knows H, C, N, O, F" in capsys.readouterr().err
    assert not (tmp_path / "other.sdf").exists()
