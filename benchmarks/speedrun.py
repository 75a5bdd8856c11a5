"""How soon a model from scratch passes EDM's quality: `python -m benchmarks.speedrun [--seed S]`, on one core.

Trains `speedrun.yaml`, draws 1,000 molecules at its default number of steps, and counts those whose atoms are all
stable by EDM's rule (Hoogeboom 2022: 82.0 %, after about a week on a GPU). Time is the processor's, from the start of
`moldiff fit`, data loading included; molecules are drawn after the clock has stopped. Results are added to
`results/speedrun.jsonl`, one line per run; `--plot` draws them all, quality against cost.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.quality import keep, kept
from moldiff.data.datamodules import QM9DataModule

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "speedrun.jsonl"
TARGET = 0.82  # molecule stability of EDM, Hoogeboom 2022, table 1


def run(
    seed: int,
    steps: int | None,
    num_samples: int,
    options: list[str],
    config: Path = HERE / "speedrun.yaml",
    num_steps: int | None = None,
) -> dict[str, Any]:
    """Train, sample and score; what `results/speedrun.jsonl` keeps."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["fit", "--config", str(config.resolve()), f"--seed_everything={seed}"]
        command += [f"--model.seed={seed}", f"--data.seed={seed}", *options]
        command += [] if steps is None else [f"--trainer.max_steps={steps}"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _moldiff(folder, *command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        checkpoint = next(Path(folder, "runs").glob("*/checkpoints/last.ckpt"))
        draw = ["sample", "--model", str(checkpoint), f"--num_samples={num_samples}", "--out=drawn.sdf"]
        _moldiff(folder, *draw, *([] if num_steps is None else [f"--num_steps={num_steps}"]))
        _moldiff(folder, "evaluate", "--molecules=drawn.sdf", "--metrics=basic", "--out=report.json")
        report = json.loads(Path(folder, "report.json").read_text())
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    made = {"config": config.name, "seed": seed, "options": options, "steps": steps}
    made |= {} if num_steps is None else {"num_steps": num_steps}
    return made | {"core_minutes": round(seconds / 60, 2), "report": report}


def _moldiff(folder: str, *arguments: str) -> None:
    command = Path(sys.executable).with_name("moldiff")
    subprocess.run([command, *arguments], check=True, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"})


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Molecule stability against the time of training, a colour for each config and number of sampling steps."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for config, steps in dict.fromkeys((row["config"], row.get("num_steps")) for row in rows):
        same = [row for row in rows if (row["config"], row.get("num_steps")) == (config, steps)]
        points = sorted((row["core_minutes"], row["report"]["edm"]["molecule_stable"]) for row in same)
        minutes, shares = [minute for minute, _ in points], [share for _, share in points]
        values = [100 * share["value"] for share in shares]
        low = [max(0.0, value - 100 * share["interval"][0]) for value, share in zip(values, shares, strict=True)]
        high = [100 * share["interval"][1] - value for value, share in zip(values, shares, strict=True)]
        axes.errorbar(
            minutes,
            values,
            (low, high),
            fmt="o-",
            capsize=3,
            label=config if steps is None else f"{config}, {steps} sampling steps",
        )
    axes.axhline(100 * TARGET, color="grey", linestyle="--", label="EDM, published (about a week of a GPU)")
    axes.axhline(95.2, color="grey", linestyle=":", label="QM9 itself")
    axes.set(
        xscale="log", xlabel="minutes of one core", ylabel="EDM: molecules stable, %", xlim=(5, 500), ylim=(0, 100)
    )
    minutes_shown = [5, 10, 20, 50, 100, 200, 500]
    axes.set_xticks(minutes_shown, [str(minute) for minute in minutes_shown])
    axes.minorticks_off()
    axes.legend(loc="center right")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=HERE / "speedrun.yaml")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="training steps; those of the config if not given")
    parser.add_argument("--num_samples", type=int, default=1000)
    parser.add_argument("--num_steps", type=int, help="of sampling; those of the config if not given")
    parser.add_argument("--plot", action="store_true", help="only draw the results so far: results/speedrun.png")
    arguments, options = parser.parse_known_args()  # others go to `moldiff fit`, as in --model.lr=2e-3
    if arguments.plot:
        plot(kept(RESULTS), RESULTS.with_suffix(".png"))
        return
    QM9DataModule().setup()  # QM9 is read from CSV files once per machine; that is not training
    result = run(arguments.seed, arguments.steps, arguments.num_samples, options, arguments.config, arguments.num_steps)
    keep(RESULTS, result)
    stable = result["report"]["edm"]["molecule_stable"]["value"]
    verdict = "passed" if stable >= TARGET else "not reached"
    print(
        f"{result['core_minutes']} core minutes: {100 * stable:.1f} % of the molecules stable ({TARGET:.0%} {verdict})"
    )


if __name__ == "__main__":
    main()
