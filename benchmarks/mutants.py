"""How many small changes of the program the tests notice: `python -m benchmarks.mutants --help`.

Mutants are drawn at random among all that `benchmarks.mutation` knows. Each is put into a copy of the repository, and
the tests that ran its lines when nothing was changed run again, the fastest first, until one fails. A mutant that no
test notices has survived.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import importlib
import json
import os
import pkgutil
import py_compile
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from benchmarks.mutation import Mutant, mutants, patch

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = ROOT / "benchmarks" / "equivalent_mutants.yaml"
PACKAGES = ("diffusion", "metrics", "chem")
TESTS = (
    *("tests/chem", "tests/diffusion", "tests/metrics", "tests/bad_input"),
    *(
        f"tests/test_{name}.py"
        for name in ("conditional", "fixed", "full_disk", "generator", "optimize", "ranks", "steering")
    ),
    "tests/training/test_export.py",
)
MEMORY = 8 * 2**30  # bytes of addresses that a mutant may ask for
LONGEST = 120.0  # s: tests of a mutant beyond so much time, undisturbed, are left out


@dataclass(frozen=True)
class Traced:
    """What one test took and ran."""

    name: str  # as pytest takes it
    seconds: float
    lines: dict[str, frozenset[int]]  # file -> lines
    imports: frozenset[str] = frozenset()  # files that are imported before the tests of its file begin


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per_package", type=int, default=40, help="mutants of each package")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--tests", nargs="+", default=list(TESTS), help="files and folders of tests")
    parser.add_argument("--map", type=Path, default=ROOT / ".mutants.json", help="keeps what each test runs")
    parser.add_argument("--out", type=Path, default=None, help="JSON file; results of other seeds in it are kept")
    args = parser.parse_args(arguments)
    load_libraries()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copy_repository(copy)
        tests = what_tests_run(copy, args.tests, args.map)
        load_package(copy)
        for name in args.packages:
            result = check(copy, name, args.per_package, args.seed, tests)
            print(f"{name}: {result['caught']} of {result['drawn']} caught ({result['share']:.1%})")
            print("".join(f"  survived: {text}\n" for text in result["survivors"]), end="")
            if args.out is not None:
                found = json.loads(args.out.read_text()) if args.out.exists() else {}
                found.setdefault(f"seed {args.seed}", {})[name] = {"tests": args.tests, **result}
                write(args.out, found)


def draw(package: str, count: int, seed: int) -> list[Mutant]:
    """Mutants of a package, each as likely as any other."""
    files = sorted((ROOT / "moldiff" / package).rglob("*.py"))
    every = [mutant for file in files for mutant in mutants(ROOT, file)]
    return random.Random(f"{package} {seed}").sample(every, min(count, len(every)))


def check(copy: Path, package: str, count: int, seed: int, tests: list[Traced]) -> dict[str, Any]:
    """Which of the mutants of a package the tests notice; those that are equivalent by the list are drawn anew."""
    known, drawn, equivalent = _known_equivalents(), [], []
    for mutant in draw(package, 10 * count, seed):
        (equivalent if mutant.name in known else drawn).append(mutant)
        if len(drawn) == count:
            break
    survivors, ends = [], Counter[str]()
    bar = tqdm(drawn, desc=package, unit="mutant")
    for mutant in bar:
        end = trial(copy, mutant, tests)
        ends[f"{mutant.kind}: {'survived' if end == 'survived' else 'caught'}"] += 1
        if end == "survived":
            survivors.append(str(mutant))
            bar.write(f"survived: {mutant}", file=sys.stderr)
    caught = len(drawn) - len(survivors)
    return {
        "drawn": len(drawn),
        "caught": caught,
        "share": round(caught / len(drawn), 4),
        "equivalent": [f"{mutant}: {known[mutant.name]}" for mutant in equivalent],
        "kinds": dict(sorted(ends.items())),
        "survivors": survivors,
    }


def trial(copy: Path, mutant: Mutant, tests: list[Traced]) -> str:
    """How the tests end on a mutant: "failed", "timed out" or "survived"."""
    chosen = chosen_for(mutant, tests)
    if not chosen:
        return "survived"
    place, budget = copy / mutant.path, sum(test.seconds for test in chosen)
    original = place.read_bytes()
    try:
        place.write_bytes(mutant.apply(original))
        code = in_child(copy, lambda: _on_mutant(mutant, chosen), 60 + 5 * budget)
    finally:
        place.write_bytes(original)
    return "timed out" if code is None else "survived" if code == 0 else "failed"


def _on_mutant(mutant: Mutant, tests: Sequence[Traced]) -> int:
    """Run tests in this process, whose loaded package gets the mutant's code, or is loaded anew."""
    if not patch(mutant, Path(mutant.path).resolve()):
        for name in [name for name in sys.modules if name.split(".")[0] == "moldiff"]:
            del sys.modules[name]
    return _pytest(["-x", *(test.name for test in tests)])


def chosen_for(mutant: Mutant, tests: list[Traced]) -> list[Traced]:
    """Tests that run a mutant's lines, fastest first; of what runs when a file is imported, those that use the file.

    A file in which nothing is called, a table, say, is used by all that import it.
    """
    lines = frozenset(range(mutant.line, mutant.last + 1))
    seen = [test for test in tests if test.lines.get(mutant.path, frozenset()) & lines]
    seen = seen or [test for test in tests if mutant.path in test.lines]
    seen = seen or [test for test in tests if mutant.path in test.imports]
    total, chosen = 0.0, []
    for test in sorted(seen, key=lambda test: test.seconds):
        total += test.seconds
        if chosen and total > LONGEST:
            break
        chosen.append(test)
    return chosen


def what_tests_run(copy: Path, tests: Sequence[str], kept: Path) -> list[Traced]:
    """Run every test once, file by file, and note its time and the lines of the package that it ran.

    What is known from an earlier call is taken from `kept`, as long as neither the package nor the file of tests has
    changed.
    """
    package = _digest(*sorted((ROOT / "moldiff").rglob("*.py")), *sorted((ROOT / "tests").rglob("conftest.py")))
    found = json.loads(kept.read_text()) if kept.exists() else {}
    found = found if found.get("package") == package else {"package": package, "files": {}}
    files = sorted({file for name in tests for file in _test_files(copy / name)})
    for file in tqdm(files, desc="what the tests run", unit="file"):
        name, digest = str(file.relative_to(copy)), _digest(file)
        if found["files"].get(name, {}).get("digest") == digest:
            continue
        out = copy / "map.json"
        out.unlink(missing_ok=True)
        code = in_child(copy, lambda file=name, out=out: _trace(file, out), 1800)
        if not out.exists():
            raise ValueError(f"{name}: the tests cannot be run: exit code {code}; see what pytest says of this file")
        if code == 1:
            tqdm.write(f"{name}: some tests fail before anything is changed, and are left out", file=sys.stderr)
        found["files"][name] = {"digest": digest, **json.loads(out.read_text())}
        write(kept, found)
    names = {str(file.relative_to(copy)) for file in files}
    return [
        Traced(test, seconds, {path: frozenset(lines) for path, lines in ran.items()}, imports)
        for name, imports in ((name, frozenset(found["files"][name]["imports"])) for name in names)
        for test, (seconds, ran) in found["files"][name]["tests"].items()
    ]


def _trace(file: str, out: Path) -> int:
    """Run a file of tests; write what each of them took, and ran."""
    import coverage
    import pytest

    measured = coverage.Coverage(data_file=None, source=["moldiff"], config_file=False)
    seconds, failed = Counter[str](), set[str]()

    class Contexts:
        def pytest_runtest_logstart(self, nodeid: str) -> None:
            measured.switch_context(nodeid)

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            seconds[report.nodeid] += report.duration
            if report.outcome != "passed":
                failed.add(report.nodeid)

    measured.start()
    code = _pytest([file], Contexts())
    measured.stop()
    data, tests = measured.get_data(), {name: (round(s, 3), {}) for name, s in seconds.items() if name not in failed}
    imports = []
    for path in data.measured_files():
        short = str(Path(path).relative_to(Path.cwd()))
        contexts = data.contexts_by_lineno(path)
        for line, names in contexts.items():
            for name in names:
                if name in tests:
                    tests[name][1].setdefault(short, []).append(line)
        if any("" in names for names in contexts.values()):
            imports.append(short)
    write(out, {"tests": tests, "imports": imports})
    return code


def _pytest(arguments: list[str], *plugins: object) -> int:
    import pytest

    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=--import-mode=importlib -m 'not slow'"]
    return int(pytest.main([*options, *arguments], plugins=list(plugins)))


def in_child(copy: Path, work: Callable[[], int], limit_s: float) -> int | None:
    """Exit code of some work in a forked process, which sees the copy only; None if it took too long."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.setsid()
            os.chdir(copy)
            log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            scratch = copy.parent / "scratch"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            os.environ |= {"PYTHONPATH": str(copy), "MOLDIFF_CACHE": str(scratch / "cache"), "TMPDIR": str(scratch)}
            tempfile.tempdir = None
            sys.dont_write_bytecode = True
            sys.path[:] = [str(copy), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + limit_s
    try:
        while time.monotonic() < end:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        return None
    finally:
        _end_group(process)


def _end_group(process: int) -> None:
    """End a child and what it has started."""
    try:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def load_libraries() -> None:
    """Import what the tests need, except moldiff: children that are forked have it."""
    import beartype  # noqa: F401
    import e3nn.o3  # noqa: F401
    import hypothesis  # noqa: F401
    import jsonargparse  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import pytest  # noqa: F401
    import pytorch_lightning.cli  # noqa: F401
    import rdkit.Chem.AllChem  # noqa: F401
    import scipy.optimize  # noqa: F401
    import torch
    import torch_geometric.data  # noqa: F401

    torch.set_num_threads(1)  # a process that has threads must not be forked
    loaded = [name for name in sys.modules if name.split(".")[0] == "moldiff"]
    if loaded:
        raise RuntimeError(f"{loaded[0]} was imported: the children would not see its mutants")


def load_package(copy: Path) -> None:
    """Import all of the copy's moldiff as the tests do, so that children need not."""
    from jaxtyping import install_import_hook

    sys.path[:] = [str(copy), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
    sys.dont_write_bytecode = True
    before = Path.cwd()
    os.chdir(copy)
    checker = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"  # as in tests/conftest.py
    install_import_hook(["moldiff.nn", "moldiff.diffusion"], checker)
    import moldiff

    for module in pkgutil.walk_packages(moldiff.__path__, "moldiff."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    os.chdir(before)
    if not Path(moldiff.__file__).is_relative_to(copy):
        raise RuntimeError(f"{moldiff.__file__} was imported, expected that of {copy}")


def copy_repository(copy: Path) -> None:
    """Copy what the tests see, with compiled files that notice every change of their source."""
    ignore = shutil.ignore_patterns(
        ".*", "__pycache__", "runs", "logs", "lightning_logs", "site", "*.ckpt", "*.egg-info"
    )
    shutil.copytree(ROOT, copy, ignore=ignore)
    compileall.compile_dir(copy, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def write(path: Path, content: Any) -> None:
    """Write JSON beside its place and rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(
        json.dumps(content, indent=1 if path.suffix == ".json" and "results" in path.parts else None) + "\n"
    )
    temporary.replace(path)


def _known_equivalents() -> dict[str, str]:
    """Mutants that mean the same as the program, by their names, and the reasons."""
    return dict(yaml.safe_load(EQUIVALENT.read_text()) or {}) if EQUIVALENT.exists() else {}


def _test_files(path: Path) -> list[Path]:
    return sorted(path.rglob("test_*.py")) if path.is_dir() else [path]


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    main()
