"""Reading CSV files that somebody else wrote."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from moldiff.chem.files import read_text

LONGEST = 131_072  # characters of a field; Python's own limit, which other packages lift for the whole process


def csv_rows(path: Path) -> Iterator[list[str]]:
    """The rows of a .csv or .csv.gz file, the header first; blank ones are left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no text, or no CSV.
    """
    try:
        for row in csv.reader(io.StringIO(read_text(path))):
            if any(len(field) > LONGEST for field in row):
                raise csv.Error(f"field larger than field limit ({LONGEST})")
            if row:
                yield row
    except csv.Error as error:
        raise ValueError(f"{path}: got no CSV file ({error}); expected rows of short texts") from error


def csv_records(path: Path) -> list[dict[str, str]]:
    """The rows as dictionaries by the names of the columns; what a row lacks is "", what it has too many is dropped.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no text, or no CSV.
    """
    header, *rows = [*csv_rows(path)] or [[]]
    return [dict(zip(header, [*row, *[""] * len(header)], strict=False)) for row in rows]
