"""The code blocks of a Markdown page, which a test runs as a reader would.

A block that takes long follows a comment `<!-- not run: reason -->`; its commands are still checked, line by line:
`moldiff fit` and its kin must accept their arguments (`--print_config`), the other commands must know every option,
`make` its target, `pip` the extra.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = {"bash", "python", "yaml", "text", "bibtex"}
_FENCE = re.compile(r"(<!-- not run: [^>]+ -->\n+)?^``` ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"[A-Z_]+=\S*")  # before a command
_HELP: dict[str, str] = {}  # of each command, asked for once
_TRAINER_COMMANDS = {"fit", "validate", "test", "predict"}


@dataclass(frozen=True)
class Block:
    page: str
    language: str
    code: str
    runs: bool
    line: int

    def __str__(self) -> str:
        return f"{self.page}-line-{self.line}-{self.language}"


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page; each is of a language that is checked here, or says that it is only to be looked at."""
    text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix()
    blocks = [
        Block(name, match[2], match[3], runs=not match[1], line=text[: match.start(2)].count("\n") + 1)
        for match in _FENCE.finditer(text)
    ]
    assert text.count("```") == 2 * len(blocks), f"{name}: a fence is not closed, or not at the start of a line"
    assert {block.language for block in blocks} <= LANGUAGES, name
    return blocks


def run_block(block: Block, folder: Path, environment: dict[str, str]) -> None:
    """Run a block in a folder, or check it if it is not to be run."""
    if block.language == "yaml":
        assert yaml.safe_load(block.code)
    elif block.language not in ("bash", "python"):
        return
    elif block.runs:
        start = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [sys.executable, "-c"]
        subprocess.run([*start, block.code], check=True, cwd=folder, env=environment, timeout=600)
    elif block.language == "python":
        compile(block.code, str(block), "exec")
    else:
        for line in block.code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            variables = dict(word.split("=", 1) for word in takewhile(_VARIABLE.fullmatch, words))
            if words:
                _check_command(words[len(variables) :], folder, environment | variables)


def _check_command(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Fail unless a command that is not run would be understood."""

    def output(*command: str, cwd: Path = folder) -> str:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
        return done.stdout

    match words:
        case ["moldiff", command, *arguments] if command in _TRAINER_COMMANDS:
            output("moldiff", command, *arguments, "--print_config")
        case ["moldiff", command, *arguments]:
            variant = ["--optimize=x.sdf"] if "--optimize" in arguments else []  # has options of its own
            kind = shlex.join([command, *variant])
            if kind not in _HELP:
                _HELP[kind] = output("moldiff", command, *variant, "--help")
            known = re.findall(r"--[\w.]+", _HELP[kind])
            given = {word.split("=")[0] for word in arguments if word.startswith("--")}
            assert {word.split(".")[0] for word in given} <= set(known)  # the keys of a dictionary are free
        case ["make", *arguments]:
            output("make", "--dry-run", *arguments, cwd=ROOT)
        case ["pip", "install", *arguments]:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            wanted = ",".join(re.findall(r"\[([\w,]+)\]", " ".join(arguments)))
            assert set(filter(None, wanted.split(","))) <= set(project["optional-dependencies"])
        case ["git", "clone", *_] | ["cd", _] | ["mv", _, _]:
            pass
        case _:
            pytest.fail(f"no way to check `{shlex.join(words)}`: let the block run, or add a case here")
