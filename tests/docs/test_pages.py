"""Every block of the documentation runs: those of a page in order, in one folder for the page."""

import re
from pathlib import Path

import pytest

from tests.page_blocks import ROOT, Block, blocks_of, run_block

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCKS = [block for page in PAGES for block in blocks_of(page)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each page a folder like the root of the repository, whose files must not be written to."""
    made = {}
    for page in sorted({block.page for block in BLOCKS}):
        made[page] = tmp_path_factory.mktemp("page")
        for name in ("benchmarks", "configs", "docs", "tests"):
            (made[page] / name).symlink_to(ROOT / name)
    return made


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_block(block: Block, folders: dict[str, Path], environment: dict[str, str]) -> None:
    folder = folders[block.page]
    run_block(block, folder, {**environment, "MOLDIFF_CACHE": str(folder / "cache")})


def test_pages_are_small() -> None:
    lengths = {page.name: len(page.read_text(encoding="utf-8").splitlines()) for page in PAGES}
    assert {name: length for name, length in lengths.items() if length > 150} == {}, "split the page"


def test_every_example_is_shown() -> None:
    shown = {
        name for page in PAGES for name in re.findall(r"<!-- file (docs/examples/\S+) -->", page.read_text("utf-8"))
    }
    assert shown == {path.relative_to(ROOT).as_posix() for path in (DOCS / "examples").glob("*.py")}
