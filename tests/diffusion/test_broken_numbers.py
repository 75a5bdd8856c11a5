"""A network that gives no finite numbers for one molecule: it is named, and the others are as without it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem.AllChem import EmbedMolecule

from moldiff import MoleculeGenerator
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.diffusion.alignment import best_rotation
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule

FIELDS = ("pos", "atom_types", "charges", "bond_types")
NETWORK = partial(EquivariantGraphTransformer, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=2)


@pytest.fixture
def generator(sampler, statistics):
    torch.manual_seed(0)
    processes = {"pos": GaussianProcess(), **{name: CategoricalProcess() for name in FIELDS[1:]}}
    module = DiffusionModule(NETWORK, processes, sampler, num_steps=5)
    module.build(statistics)
    return MoleculeGenerator(module.model(), "tiny", "cpu", "float32")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("call", [1, 3])  # of the network
def test_one_broken_molecule_is_named_and_disturbs_no_other(generator, value, call, caplog):
    sound = generator.sample(6, seed=1, num_atoms=7, batch_size=3, progress=False)
    calls = []

    def spoil(network, arguments, output):
        calls.append(0)
        if len(calls) != call:
            return output
        rows = torch.tensor([False, True, False])
        spoilt = {name: torch.where(rows.view(-1, *[1] * (x.dim() - 1)), value, x) for name, x in vars(output).items()}
        return replace(output, **spoilt)

    with generator.model.denoiser.register_forward_hook(spoil):
        broken = generator.sample(6, seed=1, num_atoms=7, batch_size=3, progress=False)
    assert [record.getMessage() for record in caplog.records] == [
        "the network gave no finite numbers for molecule 1 of seed 1"
    ]
    assert not np.isfinite(broken.arrays[1].positions).all()
    assert [mol.GetNumAtoms() for mol in broken.raw] == [7, 0, 7, 7, 7, 7]
    for k in (0, 2, 3, 4, 5):
        np.testing.assert_array_equal(broken.arrays[k].positions, sound.arrays[k].positions)
        np.testing.assert_array_equal(broken.arrays[k].bond_orders, sound.arrays[k].bond_orders)
        np.testing.assert_array_equal(broken.arrays[k].atomic_numbers, sound.arrays[k].atomic_numbers)


def test_one_broken_molecule_around_fixed_atoms_disturbs_no_other(generator):
    """Between the rounds all are noised again, and the noise is aligned: what is no number cannot be."""
    methyl = Chem.AddHs(Chem.MolFromSmiles("C"))
    EmbedMolecule(methyl, randomSeed=1)
    methyl = Chem.RWMol(methyl)
    methyl.RemoveAtom(4)
    ask = partial(generator.sample, 3, num_atoms=7, num_steps=2, progress=False, fixed=generator.fixed(methyl.GetMol()))
    sound, calls = ask(), []

    def spoil(network, arguments, output):
        calls.append(0)
        rows = torch.tensor([False, True, False])[:, None, None]
        return output if len(calls) > 2 else replace(output, pos=torch.where(rows, torch.nan, output.pos))

    with generator.model.denoiser.register_forward_hook(spoil):
        broken = ask()
    for k in (0, 2):
        np.testing.assert_array_equal(broken.arrays[k].positions, sound.arrays[k].positions)


def test_points_that_are_no_numbers_do_not_keep_others_from_turning():
    points = torch.randn(3, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turned = points @ best_rotation(points, points.flip(1))
    points[1, 2, 0] = torch.nan
    found = points @ best_rotation(points, points.flip(1))
    torch.testing.assert_close(found[[0, 2]], turned[[0, 2]])
    assert found[1].isnan().any()
