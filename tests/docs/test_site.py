"""MkDocs builds the site without a warning; what is generated from the code is complete."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from moldiff import cli

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
pytest.importorskip("mkdocstrings", reason="the extra `docs` is not installed")

MODULES = ("chem", "data", "models", "diffusion", "training", "metrics", "metrics.pocket")


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "WARNING" not in done.stderr + done.stdout
    return folder


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="?(?:https?:)?//[^">]*', re.IGNORECASE)
    found = {match for page in site.rglob("*.html") for match in fetched.findall(text(page))}
    assert found == set()


def test_every_marker_is_filled(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not re.search(r"<!-- (commands|names of|fields of|file )|--8&lt;--|::: moldiff", text(page)), page


def test_examples_are_shown_whole(site: Path, root: Path) -> None:
    for name, example in (("denoiser", "radial_network"), ("process", "simplex_process"), ("dataset", "xyz_data")):
        page = re.sub(r"<[^>]+>", "", text(site / "extend" / f"{name}.html"))
        source = text(root / "docs" / "examples" / f"{example}.py")
        assert all(html.escape(line, quote=False) in page for line in source.splitlines()[::5])


def test_commands_and_their_options_are_all_there(site: Path) -> None:
    from generate import commands

    names = re.findall(r"^  ([\w-]+)  ", cli.HELP, re.MULTILINE)
    assert [*commands(), *cli.TRAINER_COMMANDS] == names
    page = text(site / "reference" / "cli.html")
    for name, function in {**commands(), "sample --optimize": cli.improve}.items():
        assert f"moldiff {name}" in page
        for option in function.__annotations__.keys() - {"return"}:
            assert f"<code>--{option}</code>" in page


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_its_place(site: Path, module: str) -> None:
    from generate import public_paths

    page = text(site / "reference" / f"{module.split('.')[-1]}.html")
    paths = public_paths(f"moldiff.{module}")
    assert len(paths) > 2
    assert [path for path in paths if f'id="{path}"' not in page] == []


def test_every_bundled_model_has_its_card(site: Path, root: Path) -> None:
    cards = sorted((root / "moldiff" / "weights").glob("*/card.md"))
    assert cards
    for card in cards:
        page = text(site / "models" / f"{card.parent.name}.html")
        headings = re.findall(r"^## (.+)$", text(card), re.MULTILINE)
        assert all(heading in page for heading in headings)
