import logging

import pytest

from moldiff.data.cache import cache_folder, cached_table
from moldiff.data.table import MoleculeTable


class Builder:
    """Counts how often the table is built."""

    def __init__(self, table: MoleculeTable) -> None:
        self.table, self.calls = table, 0

    def __call__(self) -> MoleculeTable:
        self.calls += 1
        return self.table


@pytest.fixture
def build(table):
    return Builder(table)


def test_folder_comes_from_the_environment(cache, monkeypatch):
    assert cache_folder() == cache
    monkeypatch.delenv("MOLDIFF_CACHE")
    assert cache_folder().name == "moldiff"


def test_built_once(build, cache):
    first = cached_table("name", 1, build)
    second = cached_table("name", 1, build)
    assert build.calls == 1
    assert first.smiles == second.smiles
    assert [path.name for path in cache.iterdir()] == ["name.safetensors"]


def test_other_version_is_rebuilt(build, caplog):
    cached_table("name", 1, build)
    with caplog.at_level(logging.WARNING):
        assert cached_table("name", 2, build).metadata["version"] == 2
    assert build.calls == 2
    assert "processed by version 1, this is 2" in caplog.text


@pytest.mark.parametrize(("keep", "message"), [(5000, "cut off"), (None, "checksum")])
def test_damaged_file_is_rebuilt(build, cache, caplog, keep, message):
    cached_table("name", 1, build)
    path = cache / "name.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content[:keep])
    with caplog.at_level(logging.WARNING):
        cached_table("name", 1, build)
    assert build.calls == 2
    assert message in caplog.text
    cached_table("name", 1, build)
    assert build.calls == 2


def test_a_file_of_another_process_may_vanish_at_any_moment(build, cache):
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".name.safetensors.1").symlink_to("nothing")  # is listed, and is not there when it is looked at
    assert len(cached_table("name", 1, build)) == len(build.table)
    assert (cache / "name.safetensors").exists()


def test_failed_build_leaves_nothing(cache):
    def fail() -> MoleculeTable:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cached_table("name", 1, fail)
    assert not cache.exists()
