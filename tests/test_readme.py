"""Every block of the README runs, in order, in one folder (so one process must run them all: `--dist=loadfile`)."""

from pathlib import Path

import pytest

from tests.page_blocks import ROOT, Block, blocks_of, run_block


@pytest.mark.parametrize("block", blocks_of(ROOT / "README.md"), ids=str)
def test_block(block: Block, workspace: Path, environment: dict[str, str]) -> None:
    run_block(block, workspace, environment)
