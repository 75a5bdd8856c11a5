"""The records of an .sdf file, each of which is read when it is asked for: memory does not grow with the file."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from rdkit import Chem

from moldiff.chem.files import sdf_record


class RecordFile(Sequence[Chem.Mol | None]):
    """Molecules of an .sdf file, as `moldiff.chem.read_molecules` gives them; 8 bytes are kept for each.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no record, or the last one is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends, end, whole = array("q"), 0, True
        with path.open("rb") as file:
            for line in file:
                end += len(line)
                if line.startswith(b"$$$$"):
                    self._ends.append(end)
                    whole = True
                elif line.strip():
                    whole = False
        if not whole:
            raise ValueError(
                f"{path}: record {len(self._ends) + 1} is cut off; expected a last line '$$$$'. {len(self._ends)} "
                "whole records come before it: remove the rest, or write the file again"
            )
        if not self._ends:
            raise ValueError(f"{path}: got an empty file; expected at least one molecule")

    def __len__(self) -> int:
        """Number of records."""
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> Chem.Mol | None: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Chem.Mol | None]: ...
    def __getitem__(self, place: int | slice) -> Chem.Mol | Sequence[Chem.Mol | None] | None:
        """One molecule, None if RDKit cannot read it; or several."""
        if isinstance(place, slice):
            return [self[k] for k in range(len(self))[place]]
        place = range(len(self))[place]
        start = self._ends[place - 1] if place else 0
        with self.path.open("rb") as file:
            file.seek(start)
            text = file.read(self._ends[place] - start).decode("utf-8", errors="replace").replace("\r\n", "\n")
        return sdf_record(text[: text.rindex("$$$$")])
