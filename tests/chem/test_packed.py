"""Compressed files: what is whole is read, what would fill the memory is not."""

import gzip
import zipfile
from pathlib import Path

import pytest

from moldiff.chem.packed import check_zip, unpacked

PART = bytes(10_000)


def zipped(path: Path, parts: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("zeros", PART * parts)
    return path


def test_what_is_packed_comes_back(tmp_path: Path) -> None:
    path, content = tmp_path / "a.gz", bytes(range(256)) * 100_000
    path.write_bytes(gzip.compress(content))
    assert unpacked(path) == content
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        unpacked(path)


def test_so_much_is_unpacked_without_questions_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the file is large, too: a two-hundredth at least."""
    monkeypatch.setattr("moldiff.chem.packed._PLENTY", 1_000_000)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(PART) * 100)
    assert len(unpacked(path)) == 1_000_000
    check_zip(zipped(tmp_path / "a.zip", 100))
    path.write_bytes(gzip.compress(PART) * 101)
    for read, packed in ((unpacked, path), (check_zip, zipped(tmp_path / "b.zip", 110))):
        with pytest.raises(ValueError, match="unpack to more than 1,000,000"):
            read(packed)
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as archive:
        archive.writestr("random", bytes(6_000))  # stored as it is
    assert (tmp_path / "b.zip").stat().st_size * 200 > 1_106_000
    check_zip(tmp_path / "b.zip")
