"""Scores of a model by number of steps, over seeds: `python -m benchmarks.quality --steps 10 20 50 100 --seeds 0 1 2`.

Draws with `moldiff sample` and scores with `moldiff evaluate`, a set for each number of steps and seed. Sets are kept
in `results/quality.jsonl`, one line each, and not drawn again for the same weights but with `--again`; the table is of
all of a model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from moldiff.diffusion.model_folder import find_model
from moldiff.diffusion.precision import use_bfloat16
from moldiff.metrics.share import Share

RESULTS = Path(__file__).parent / "results" / "quality.jsonl"
METRICS = "basic,properties,geometry"
SHARES = {  # heading -> path in the report
    "atom stable": ("edm", "atom_stable"),
    "molecule stable": ("edm", "molecule_stable"),
    "valid": ("edm", "valid"),
    "valid × unique": ("edm", "valid_and_unique"),
    "strict: valid": ("strict", "valid"),
    "unique": ("strict", "unique"),
    "novel": ("strict", "novel"),
}
MEANS = {"QED": ("properties", "qed"), "TPSA, Å²": ("properties", "tpsa")}
DISTANCES = ("bond lengths", "angles", "torsions", "sizes", "atom types", "bond types", "ring sizes")


def draw_and_score(model: Path, num_samples: int, seed: int, steps: int, metrics: str = METRICS) -> dict[str, Any]:
    """The report of `moldiff evaluate` on molecules of `moldiff sample`."""
    with tempfile.TemporaryDirectory() as folder:
        sdf, report = f"{folder}/drawn.sdf", f"{folder}/report.json"
        draw = [
            "--model",
            str(model),
            "--num_samples",
            str(num_samples),
            "--seed",
            str(seed),
            "--num_steps",
            str(steps),
        ]
        _moldiff("sample", *draw, "--out", sdf)
        _moldiff("evaluate", "--molecules", sdf, "--metrics", metrics, "--out", report)
        found: dict[str, Any] = json.loads(Path(report).read_text())
    found.get("geometry", {}).pop("by_type", None)  # long
    return found


def _moldiff(*arguments: str) -> None:
    command = Path(sys.executable).with_name("moldiff")
    subprocess.run([command, *arguments], check=True, env=os.environ, stdout=subprocess.DEVNULL)


def digest(model: Path) -> str:
    """Tells weights and settings apart."""
    parts = [path.read_bytes() for path in sorted(model.rglob("*")) if path.is_file() and path.name != "card.md"]
    return sha256(b"".join(parts)).hexdigest()[:12]


def table(rows: Iterable[dict[str, Any]], label: str = "steps") -> str:
    """Markdown: shares of the molecules of all seeds, in percent, with half a 95 % interval; means; distances."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[label], []).append(row["report"])
    head = [label, "molecules", *SHARES, *MEANS, *DISTANCES]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for key, reports in groups.items():
        cells = [f"{sum(report['requested'] for report in reports):,}"]
        cells += [_share([report[group][name] for report in reports]) for group, name in SHARES.values()]
        cells += [f"{_mean([r[group][name]['value'] for r in reports]):.3g}" for group, name in MEANS.values()]
        cells += [f"{_mean([r['geometry']['distances'][name]['value'] for r in reports]):.2g}" for name in DISTANCES]
        lines.append(f"| {key} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _share(parts: Sequence[dict[str, Any]]) -> str:
    share = Share(sum(p["count"] for p in parts), sum(p["total"] for p in parts), parts[0]["of"])
    return f"{100 * share.value:.2f} ± {50 * (share.interval.high - share.interval.low):.2f}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def kept(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def keep(path: Path, row: dict[str, Any]) -> None:
    """Add a line to a file of results, with the arithmetic that this machine's processor is given by default."""
    path.parent.mkdir(exist_ok=True)
    row = row | {"precision": "bfloat16" if use_bfloat16(torch.device("cpu")) else "float32"}
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def drop(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Take lines out of a file of results."""
    if rows:
        path.write_text("".join(json.dumps(row) + "\n" for row in kept(path) if row not in rows))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("qm9"), help="bundled model or folder")
    parser.add_argument("--steps", type=int, nargs="+", default=[50])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--num_samples", type=int, default=10_000)
    parser.add_argument("--again", action="store_true", help="draw what is on record, too, and put it in its place")
    args = parser.parse_args()
    folder = find_model(args.model)
    name = digest(folder)
    for seed in args.seeds:
        for steps in args.steps:
            key = {"model": name, "steps": steps, "seed": seed, "num_samples": args.num_samples}
            known = [row for row in kept(RESULTS) if key.items() <= row.items()]
            if args.again or not known:
                report = draw_and_score(folder, args.num_samples, seed, steps)
                drop(RESULTS, known)
                keep(RESULTS, key | {"name": args.model.name, "report": report})
    rows = [row for row in kept(RESULTS) if row["model"] == name and row["num_samples"] == args.num_samples]
    print(table(sorted(rows, key=lambda row: row["steps"])))


if __name__ == "__main__":
    main()
