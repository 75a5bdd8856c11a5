"""Pictures of molecules."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from rdkit import Chem

from moldiff.chem.picture import grid_picture, is_drawable
from moldiff.chem.raster import draw_molecule, viewing_positions

Embed = Callable[[str], Chem.Mol]


def test_grid_has_a_square_for_each_molecule(embed: Embed, tmp_path: Path) -> None:
    mols = [embed("CCO"), None, Chem.MolFromSmiles("C"), embed("C#N"), embed("O")]
    grid_picture(mols, tmp_path / "a.png", columns=2, size=60, same_scale=False, titles=list("abcde"))
    image = imread(tmp_path / "a.png")[..., :3]
    assert image.shape == (3 * (60 + 22), 2 * 60, 3)
    inked = (image[:246].reshape(3, 82, 2, 60, 3)[:, :60] < 0.9).any((1, 3, 4))
    assert inked.tolist() == [[True, False], [False, True], [True, False]]


def test_there_are_five_molecules_in_a_row(embed: Embed) -> None:
    """Unless there are fewer, or the number is given."""
    water = embed("O")
    for count, columns, shape in ((3, None, (1, 3)), (6, None, (2, 5)), (6, 2, (3, 2)), (11, None, (3, 5))):
        given = {} if columns is None else {"columns": columns}
        figure = grid_picture([water] * count, size=20, same_scale=False, **given)
        width, height = figure.get_size_inches() * figure.dpi
        assert (round(height / 20), round(width / 20)) == shape


def test_one_scale_cuts_off_what_is_empty(embed: Embed) -> None:
    flat = grid_picture([embed("C#CC#CC#C")], size=80)
    width, height = flat.get_size_inches() * flat.dpi
    assert width == pytest.approx(80)
    assert height < 40


@pytest.mark.parametrize(
    ("smiles", "rgb"),
    [("O=O", (0.89, 0.23, 0.20)), ("N#N", (0.24, 0.42, 0.88)), ("[U]", (0.85, 0.44, 0.71))],
)
def test_elements_have_their_colours(smiles: str, rgb: tuple[float, float, float], embed: Embed) -> None:
    mol = Chem.MolFromSmiles(smiles)
    conformer = Chem.Conformer(mol.GetNumAtoms())
    for k in range(mol.GetNumAtoms()):
        conformer.SetAtomPosition(k, (1.2 * k, 0.0, 0.0))
    mol.AddConformer(conformer)
    image = draw_molecule(mol, size=50)
    inked = image[(image < 0.97).any(-1)]
    assert np.corrcoef(inked.mean(0), rgb)[0, 1] > 0.99
    assert (image[0] == 1).all()  # on white, with a margin


def test_what_is_farther_is_paler_and_hidden() -> None:
    """Two atoms side by side, one nearer; then one behind the other."""
    mol = Chem.MolFromSmiles("O.O", sanitize=False)
    mol.AddConformer(Chem.Conformer(2))
    saturation = []
    for depth in (0.0, 4.0):
        mol.GetConformer().SetPositions(np.array([[-1.5, 0.0, depth / 2], [1.5, 0.0, -depth / 2]]))
        image = np.asarray(draw_molecule(mol, size=60, turn=False))
        assert 0.0 <= image.min() < image.max() <= 1.0
        halves = [half[(half < 0.99).any(-1)] for half in (image[:, :30], image[:, 30:])]
        saturation.append([float(np.ptp(half, axis=-1).mean()) for half in halves])
    assert saturation[0][0] == pytest.approx(saturation[0][1], rel=0.05)
    assert saturation[1][0] > 1.05 * saturation[1][1]
    mol.GetConformer().SetPositions(np.array([[0.0, 0.0, 2.0], [0.0, 0.0, -2.0]]))
    mol.GetAtomWithIdx(1).SetAtomicNum(9)  # green and smaller, behind red
    image = np.asarray(draw_molecule(mol, size=60, turn=False))
    assert (image[..., 0] >= image[..., 1] - 0.02).all()


def test_a_grid_shows_its_molecules_and_no_axes(embed: Embed, tmp_path: Path) -> None:
    grid_picture([embed("CCO"), embed("N")], tmp_path / "a.png", columns=2, size=60, same_scale=False)
    image = imread(tmp_path / "a.png")[..., :3]
    alone = draw_molecule(embed("CCO"), size=60)
    assert np.abs(image[:, :60] - alone).max() < 0.02


def test_view_is_a_rotation(embed: Embed) -> None:
    mol = embed("C[C@H](O)F")
    seen, given = viewing_positions(mol), mol.GetConformer().GetPositions()
    given = given - given.mean(0)
    rotation = np.linalg.lstsq(given, seen, rcond=None)[0]
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    assert np.ptp(seen, axis=0)[0] > np.ptp(seen, axis=0)[2]


def test_errors(embed: Embed) -> None:
    with pytest.raises(ValueError, match="no molecules"):
        grid_picture([])
    with pytest.raises(ValueError, match="2 titles for 1 molecules"):
        grid_picture([embed("C")], titles=["a", "b"])
    with pytest.raises(ValueError, match="expected a conformer"):
        draw_molecule(Chem.MolFromSmiles("C"))


def test_what_can_be_drawn(embed: Embed) -> None:
    broken = embed("O")
    broken.GetConformer().SetAtomPosition(0, (np.nan, 0.0, 0.0))
    drawable = [is_drawable(mol) for mol in (embed("O"), None, Chem.MolFromSmiles("O"), Chem.Mol(), broken)]
    assert drawable == [True, False, False, False, False]


def test_a_grid_of_failures_is_empty_not_an_error() -> None:
    assert grid_picture([None, None], size=20) is not None


def test_frames_of_one_molecule_are_not_turned(embed: Embed) -> None:
    mol = embed("CC(=O)N")
    given = mol.GetConformer().GetPositions()
    assert np.allclose(viewing_positions(mol, turn=False), given - given.mean(0))
    turned, as_given = (np.asarray(draw_molecule(mol, size=40, half_width=4.0, turn=turn)) for turn in (True, False))
    mol.GetConformer().SetPositions(viewing_positions(mol))
    assert np.abs(draw_molecule(mol, size=40, half_width=4.0, turn=False) - turned).max() < 1e-6
    assert np.abs(as_given - turned).max() > 0.1


def test_a_notebook_shows_a_picture_without_pyplot(embed: Embed) -> None:
    code = """if True:
        from IPython.core.interactiveshell import InteractiveShell
        from rdkit import Chem
        from moldiff.chem import grid_picture
        data, _ = InteractiveShell.instance().display_formatter.format(grid_picture([None], size=20))
        assert data["image/png"][1:4] == b"PNG", data
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
