"""Every block of the README runs, in order, in one folder (so one process must run them all: `--dist=loadfile`).

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
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"(<!-- not run: [^>]+ -->\n+)?^``` ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRAINER_COMMANDS = {"fit", "validate", "test", "predict"}


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    runs: bool
    line: int

    def __str__(self) -> str:
        return f"line-{self.line}-{self.language}"


BLOCKS = [
    Block(match[2], match[3], runs=not match[1], line=README[: match.start(2)].count("\n") + 1)
    for match in FENCE.finditer(README)
]


def test_languages_are_known() -> None:
    """Each block is one that is checked here, or says that it is only to be looked at."""
    assert {block.language for block in BLOCKS} <= {"bash", "python", "yaml", "text", "bibtex"}
    assert README.count("```") == 2 * len(BLOCKS)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in ("bash", "python", "yaml")], ids=str)
def test_block(block: Block, workspace: Path, environment: dict[str, str]) -> None:
    if block.language == "yaml":
        assert yaml.safe_load(block.code)
    elif block.runs:
        start = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [sys.executable, "-c"]
        subprocess.run([*start, block.code], check=True, cwd=workspace, env=environment, timeout=600)
    elif block.language == "python":
        compile(block.code, f"README.md:{block.line}", "exec")
    else:
        for line in block.code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                check_command(words, workspace, environment)


def check_command(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Fail unless a command that is not run would be understood."""

    def output(*command: str, cwd: Path = folder) -> str:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
        return done.stdout

    match words:
        case ["moldiff", command, *arguments] if command in TRAINER_COMMANDS:
            output("moldiff", command, *arguments, "--print_config")
        case ["moldiff", command, *arguments]:
            known = re.findall(r"--[\w.]+", output("moldiff", command, "--help"))
            assert {word.split("=")[0] for word in arguments if word.startswith("--")} <= set(known)
        case ["make", *arguments]:
            output("make", "--dry-run", *arguments, cwd=ROOT)
        case ["pip", "install", *arguments]:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            wanted = ",".join(re.findall(r"\[([\w,]+)\]", " ".join(arguments)))
            assert set(filter(None, wanted.split(","))) <= set(project["optional-dependencies"])
        case ["git", "clone", *_] | ["cd", _]:
            pass
        case _:
            pytest.fail(f"no way to check `{shlex.join(words)}`: let the block run, or add a case here")
