"""Short trainings that differ in one thing: `python -m benchmarks.ablations NAME... [--seed S]`, table to ablations.md.

Every variant is the default config with a few options changed, trained from scratch for the same number of molecules
(or, where a variant changes the cost of a molecule, the number that takes the same time), with the last third of the
steps decaying, and scored on 1,000 molecules. Results are kept in `results/ablations.jsonl`, one line per run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "ablations.jsonl"
STEPS = 2000  # of 64 molecules: 10 to 12 minutes on one core
POS = "--model.processes.pos.init_args."


@dataclass(frozen=True)
class Variant:
    """Options that differ from the default config; `cost`: time per step relative to it, at equal time budget."""

    options: tuple[str, ...] = ()
    cost: float = 1.0
    about: str = ""


VARIANTS = {
    "default": Variant(about="configs/qm9.yaml"),
    "lr 4e-3": Variant(("--model.lr=4e-3",)),
    "lr 1e-3": Variant(("--model.lr=1e-3",)),
    "batch 32": Variant(("--data.batch_size=32",), 0.55),
    "batch 128": Variant(("--data.batch_size=128",), 1.85),
    "v-prediction": Variant((POS + "parameterisation=v",)),
    "plain x0 loss": Variant((POS + "loss_target=x0", POS + "weight=3.0")),
    "position weight 1": Variant((POS + "weight=1.0",)),
    "loss floor 0.01": Variant((POS + "loss_floor=0.01",)),
    "data focus 0.8": Variant(("--model.data_focus=0.8",)),
    "data focus 0": Variant(("--model.data_focus=0",)),
    "no alignment": Variant((POS + "align_noise=false",)),
    "prior scale 1": Variant((POS + "scale=1.0",)),
    "self-conditioning 0": Variant(("--model.self_conditioning=0",), 0.83),
    "self-conditioning 0.25": Variant(("--model.self_conditioning=0.25",), 0.91),
    "absorbing tokens": Variant(
        tuple(f"--model.processes.{f}.init_args.prior=absorbing" for f in ("atom_types", "charges", "bond_types"))
    ),
}


def run(name: str, seed: int, steps: int, num_samples: int) -> dict[str, Any]:
    """Train, export, sample and score one variant; returns what `results/ablations.jsonl` keeps of it."""
    variant = VARIANTS[name]
    count = round(steps / variant.cost)
    with tempfile.TemporaryDirectory() as folder:
        command = ["fit", "--config", "configs/qm9.yaml", f"--trainer.max_steps={count}"]
        command += [f"--seed_everything={seed}", f"--model.seed={seed}", f"--data.seed={seed}", *variant.options]
        own = ["--config", _logging(Path(folder)), f"--trainer.val_check_interval={count}"]
        start = time.monotonic()
        _moldiff(*command, *own)
        minutes = (time.monotonic() - start) / 60
        checkpoint, model = f"{folder}/checkpoints/last.ckpt", f"{folder}/model"
        _moldiff("export", "--checkpoint", checkpoint, "--out", model)
        drawn = f"{folder}/drawn.sdf"
        _moldiff("sample", "--model", model, "--num_samples", str(num_samples), "--seed", "1000", "--out", drawn)
        _moldiff("evaluate", "--molecules", drawn, "--out", f"{folder}/report.json")
        report = json.loads(Path(folder, "report.json").read_text())
        losses = _last_row(Path(folder))
    return {
        "name": name,
        "seed": seed,
        "steps": count,
        "minutes": round(minutes, 1),
        "options": list(variant.options),
        "losses": losses,
        "report": report,
    }


def _logging(folder: Path) -> str:
    """A config that keeps everything of a run in one folder and scores no samples on the way."""
    path = folder / "logging.yaml"
    path.write_text(
        f"""trainer:
  logger: [{{class_path: CSVLogger, init_args: {{save_dir: {folder}, name: csv}}}}]
  check_val_every_n_epoch: null
  callbacks:
    - {{class_path: Throughput}}
    - {{class_path: EMAWeightAveraging, init_args: {{decay: 0.999}}}}
    - class_path: ModelCheckpoint
      init_args: {{dirpath: {folder}/checkpoints, save_last: true, save_top_k: 0, every_n_train_steps: 100000}}
"""
    )
    return str(path)


def _last_row(folder: Path) -> dict[str, float]:
    """Last value of each logged quantity of the validation, and the rate of the training."""
    import csv

    out: dict[str, float] = {}
    with next(folder.glob("csv/*/metrics.csv")).open() as file:
        for row in csv.DictReader(file):
            out |= {k: float(v) for k, v in row.items() if v and k.startswith(("val/", "throughput", "molecules"))}
    return out


def _moldiff(*arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("moldiff"), *arguments], check=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=VARIANTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--num_samples", type=int, default=1000)
    args = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    for name in args.names:
        row = run(name, args.seed, args.steps, args.num_samples)
        with RESULTS.open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
