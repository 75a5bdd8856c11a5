"""Files that are still being written: whole records count, and nothing else does."""

import errno
import io
from array import array
from itertools import pairwise
from pathlib import Path

import pytest
from rdkit import Chem

from moldiff.chem.files import MoleculeWriter, read_molecules
from moldiff.chem.partial_file import FinishedRecords, Run, copy_in_order, finished_records, write_all

RUN = Run("7", "50", "tiny")


def record(embed, smiles: str, index: int, valid: int = 1, **other: str) -> Chem.Mol:
    mol = embed(smiles)
    mol.SetProp("_Name", f"number {index}")
    tags = {"seed": "7", "index": str(index), "num_steps": "50", "model": "tiny", **other, "valid": str(valid)}
    for name, value in tags.items():
        mol.SetProp(f"moldiff_{name}", value)
    return mol


@pytest.fixture
def mols(embed) -> list[Chem.Mol]:
    return [record(embed, "CO", 4), record(embed, "C#N", 0, valid=0), record(embed, "O", 9)]


@pytest.mark.parametrize("suffix", [".sdf", ".xyz"])
def test_wherever_a_file_is_cut_the_records_before_are_found(mols, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    with MoleculeWriter(path) as writer:
        ends = [0]
        for mol in mols:
            writer.write(mol)
            ends.append(writer.partial_path.stat().st_size)
    whole = path.read_bytes()
    for cut in range(0, len(whole) + 1, 7 if suffix == ".sdf" else 1):
        path.write_bytes(whole[:cut])
        found = finished_records(path)
        count = sum(end <= cut for end in ends[1:])
        assert list(found.indices) == [4, 0, 9][:count]
        assert list(found.lengths) == [b - a for a, b in pairwise(ends)][:count]
        assert found.num_valid == [0, 1, 1, 2][count]
        assert found.runs == (frozenset({RUN}) if count else frozenset())


@pytest.mark.parametrize("suffix", [".sdf", ".xyz"])
def test_texts_that_look_like_numbers_stay_as_they_are(embed, tmp_path: Path, suffix: str) -> None:
    run = Run("3000000000", "50", "007", "01234567e890")  # a seed beyond 32 bits, and a digest
    mol = record(embed, "CO", 0, seed=run.seed, model=run.model, request=run.request)
    with MoleculeWriter(tmp_path / f"x{suffix}") as writer:
        writer.write(mol)
    assert finished_records(tmp_path / f"x{suffix}").runs == {run}


def test_records_of_other_programs_are_refused(mols, tmp_path: Path) -> None:
    for tag in ("index", "seed", "num_steps", "model", "valid"):
        mol = Chem.Mol(mols[1])
        mol.ClearProp(f"moldiff_{tag}")
        with MoleculeWriter(tmp_path / f"{tag}.sdf") as writer:
            writer.write(mols[0])
            writer.write(mol)
        with pytest.raises(
            ValueError, match=r"record 2 does not say its moldiff_index, .*; expected a file that `mold"
        ):
            finished_records(tmp_path / f"{tag}.sdf")
    (tmp_path / "x.xyz").write_text("3 atoms\n")
    with pytest.raises(ValueError, match=r"got the line b'3 atoms.n'; expected the number of atoms"):
        finished_records(tmp_path / "x.xyz")


def test_a_run_goes_on_with_its_own_records_only() -> None:
    def found(indices: list[int], *runs: Run) -> FinishedRecords:
        return FinishedRecords(Path("x.sdf"), array("q", indices), array("q", [1] * len(indices)), frozenset(runs), 0)

    assert found([]).checked(RUN, 1) == frozenset()
    assert found([2, 0], RUN).checked(RUN, 3) == {0, 2}
    for other in (
        Run("8", "50", "tiny"),
        Run("7", "51", "tiny"),
        Run("7", "50", "other"),
        Run("7", "50", "tiny", "ab"),
    ):
        with pytest.raises(ValueError, match=rf"molecules of another run .{other}.; expected {RUN}"):
            found([1], RUN, other).checked(RUN, 3)
    with pytest.raises(ValueError, match=r"got 3 molecules with 2 indices; expected each index once"):
        found([0, 1, 0], RUN).checked(RUN, 3)
    with pytest.raises(ValueError, match=r"got molecules with indices up to 3; expected them below num_samples=3"):
        found([0, 3], RUN).checked(RUN, 3)


def test_runs_are_told_in_words() -> None:
    assert str(RUN) == "seed 7, 50 steps, model tiny"
    assert (
        str(Run("7", "50", "tiny", "ab12")) == "seed 7, 50 steps, model tiny, weights and other options of digest ab12"
    )


def test_records_of_several_files_come_in_the_order_of_their_places(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"threeone.")
    (tmp_path / "b").write_bytes(b"twofour")
    copy_in_order([(tmp_path / "a", [3, 1], [5, 4]), (tmp_path / "b", [2, 7], [3, 4])], tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"one.twothreefour"


def test_molecules_are_read_in_the_order_of_their_places(mols, tmp_path: Path) -> None:
    with MoleculeWriter(tmp_path / "x.sdf") as writer:
        for mol in mols:
            writer.write(mol, place=mol.GetIntProp("moldiff_index"))
        assert writer.count == 3
    assert [mol.GetProp("_Name") for mol in read_molecules(tmp_path / "x.sdf")] == ["number 0", "number 4", "number 9"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.sdf"]


def test_all_or_nothing_is_appended(tmp_path: Path) -> None:
    class Slow(io.FileIO):
        """Takes three bytes at a time, and has room for so many."""

        room = 11

        def write(self, data) -> int:
            if self.room <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.room -= 3
            return super().write(bytes(data[:3]))

    path = tmp_path / "x"
    with Slow(path, "wb") as file:
        write_all(file, b"abcdefg", path)
        with pytest.raises(
            OSError, match="No space left on device; the molecules that are finished stay there"
        ) as raised:
            write_all(file, b"hijklmn", path)
    assert raised.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"abcdefg"
