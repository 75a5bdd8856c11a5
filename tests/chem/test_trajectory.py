"""Trajectories: what is written, what is seen, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from rdkit import Chem

from moldiff.chem.arrays import from_mol
from moldiff.chem.files import read_molecules
from moldiff.chem.trajectory import Frame, Trajectory, check_path

Embed = Callable[[str], Chem.Mol]


@pytest.fixture
def trajectory(embed: Embed) -> Trajectory:
    """Methanol shrinks to its size from a molecule of another composition three times as large."""
    end = from_mol(embed("CO"))
    others = np.full_like(end.atomic_numbers, 7)
    frames = [
        Frame(time, replace(end, positions=end.positions * (1 + 2 * time), atomic_numbers=others), end)
        for time in (1.0, 0.5, 0.25)
    ]
    return Trajectory((*frames, Frame(0.0, end, end)), "some-molecule")


def test_xyz_holds_the_noisy_coordinates_and_the_final_elements(trajectory: Trajectory, tmp_path: Path) -> None:
    """So that viewers which take the elements from one frame show the molecule."""
    assert trajectory.save(tmp_path / "a.xyz") == tmp_path / "a.xyz"
    lines = (tmp_path / "a.xyz").read_text().splitlines()
    assert len(lines) == 4 * (6 + 2)
    assert [lines[8 * k + 1] for k in range(4)] == [
        f"some-molecule moldiff_time={time}" for time in ("1.0", "0.5", "0.25", "0.0")
    ]
    for k, frame in enumerate(trajectory.frames):
        fields = [line.split() for line in lines[8 * k + 2 : 8 * k + 8]]
        assert [field[0] for field in fields] == ["C", "O", "H", "H", "H", "H"]
        np.testing.assert_allclose(
            [[float(x) for x in field[1:]] for field in fields], frame.noisy.positions, atol=1e-7
        )
    assert len(read_molecules(tmp_path / "a.xyz")) == 4


def test_times_are_told_to_four_digits(trajectory: Trajectory, tmp_path: Path) -> None:
    frame = replace(trajectory.frames[0], time=0.123456)
    Trajectory((frame, trajectory.frames[-1]), "x").save(tmp_path / "a.xyz")
    assert (tmp_path / "a.xyz").read_text().splitlines()[1] == "x moldiff_time=0.1235"


def test_gif_plays_all_frames_and_holds_the_last(trajectory: Trajectory, tmp_path: Path) -> None:
    trajectory.save(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        assert image.size == (300, 300)
        assert image.info["loop"] == 0
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
        last = np.asarray(image.convert("RGB"), dtype=float) / 255
    assert durations == [80, 80, 80, 2000]
    assert (last[0] == 1).all()
    assert np.abs(last - trajectory.images()[-1] / 255).mean() < 0.01  # of 255 colours


def test_images_are_at_one_scale_and_show_the_elements_of_the_moment(trajectory: Trajectory) -> None:
    images = [image[:-6].astype(float) / 255 for image in trajectory.images(120)]
    inked = [(image < 0.9).any(-1) for image in images]
    widths = [np.ptp(np.flatnonzero(ink.any(0))) for ink in inked]
    assert widths[0] > widths[1] > widths[2] > widths[3] > 20
    bluer = [float((image[ink][:, 2] - image[ink][:, 0]).mean()) for image, ink in zip(images, inked, strict=True)]
    assert min(bluer[:3]) > 0.2 > bluer[3]  # nitrogen


def test_the_bar_tells_the_time(trajectory: Trajectory) -> None:
    full = [(image[-1, :, 0] == 0).mean() for image in trajectory.images(100)]
    assert full == pytest.approx([0.0, 0.5, 0.75, 1.0], abs=0.01)


def test_stretched_bonds_are_not_drawn(embed: Embed) -> None:
    """Two atoms far from each other leave white between them."""
    end = from_mol(embed("N#N"))
    apart = replace(end, positions=np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]]))
    image = Trajectory((Frame(1.0, apart, end), Frame(0.0, end, end))).images(100)[0]
    row = (image[:-6] < 230).any((0, 2))
    assert not row[np.flatnonzero(row).mean().astype(int)]


def test_files_are_not_replaced_unless_told(trajectory: Trajectory, tmp_path: Path) -> None:
    for name in ("a.xyz", "a.gif"):
        (tmp_path / name).write_text("precious")
        for write in (trajectory.save, check_path):
            with pytest.raises(FileExistsError, match="exists; choose another name"):
                write(tmp_path / name)
        assert (tmp_path / name).read_text() == "precious"
        trajectory.save(tmp_path / name, overwrite=True)
        assert (tmp_path / name).stat().st_size > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "a.xyz"]


def test_errors(trajectory: Trajectory, embed: Embed, tmp_path: Path) -> None:
    for write in (trajectory.save, check_path):
        with pytest.raises(ValueError, match=r"expected one of \.xyz, \.gif"):
            write(tmp_path / "a.mp4")
        with pytest.raises(FileNotFoundError, match="no such folder"):
            write(tmp_path / "none" / "a.gif")
    with pytest.raises(ValueError, match="at least 16 pixels"):
        trajectory.to_gif(tmp_path / "a.gif", size=3)
    with pytest.raises(ValueError, match="expected the same atoms"):
        Frame(0.5, trajectory.molecule, from_mol(embed("O")))
