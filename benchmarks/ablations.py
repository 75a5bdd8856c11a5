"""Short trainings that differ in one thing: `python -m benchmarks.ablations NAME... [--seed S]`, table to ablations.md.

Every variant is the speed run (`speedrun.yaml`, about ten minutes of one core) with a few options changed, trained from
scratch for as many steps as take the same time, and scored on 1,000 molecules at 50 steps. Results are added to
`results/ablations.jsonl`, one line per run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import speedrun
from benchmarks.quality import keep, kept
from moldiff.data.datamodules import QM9DataModule

HERE = Path(__file__).parent
RESULTS, TABLE = HERE / "results" / "ablations.jsonl", HERE / "ablations.md"
STEPS = 4500
NETWORK = "--model.denoiser.init_args."
POS = "--model.processes.pos.init_args."
KINDS = ("atom_types", "charges", "bond_types")


@dataclass(frozen=True)
class Variant:
    """Options that differ from the speed run; `cost`: time per step relative to its."""

    about: str
    options: tuple[str, ...] = ()
    cost: float = 1.0


VARIANTS = {
    "default": Variant("`speedrun.yaml`"),
    "v-prediction": Variant("the network predicts v, not the clean coordinates", (POS + "parameterisation=v",)),
    "plain x0 loss": Variant(
        "squared error of the clean coordinates, the same at all times", (POS + "loss_target=x0", POS + "weight=3.0")
    ),
    "loss floor 0.01": Variant("more weight of coordinates near t = 0 (default 0.02)", (POS + "loss_floor=0.01",)),
    "loss floor 0.05": Variant("less", (POS + "loss_floor=0.05",)),
    "position weight 1.2": Variant("of coordinates against types and bonds (default 0.6)", (POS + "weight=1.2",)),
    "bond weight 0.5": Variant("default 1", ("--model.processes.bond_types.init_args.weight=0.5",)),
    "data focus 0": Variant("times uniform", ("--model.data_focus=0",)),
    "data focus 0.8": Variant("more times near the data (default 0.5)", ("--model.data_focus=0.8",)),
    "no alignment": Variant("noise is not turned and permuted towards the molecule", (POS + "align_noise=false",)),
    "prior scale 1": Variant("noise of 1 Å (default 1.72 Å, the spread of the data)", (POS + "scale=1.0",)),
    "no self-conditioning": Variant("", (NETWORK + "self_conditioning=false",), 0.8),
    "absorbing": Variant(
        "tokens are masked instead of drawn anew from their frequencies",
        tuple(f"--model.processes.{field}.init_args.prior=absorbing" for field in KINDS),
    ),
    "lr 2e-3": Variant("of Muon (default 3e-3)", ("--model.lr=2e-3",)),
    "lr 5e-3": Variant("", ("--model.lr=5e-3",)),
    "batch 24": Variant("default 48", ("--data.batch_size=24",), 0.56),
    "batch 96": Variant("", ("--data.batch_size=96",), 1.9),
    "decay 0.3": Variant("last share of the steps with falling rate (default 0.6)", ("--model.decay_fraction=0.3",)),
    "decay 0.9": Variant("", ("--model.decay_fraction=0.9",)),
    "width 96": Variant("narrower", (NETWORK + "width=96", NETWORK + "num_blocks=6")),
    "width 192": Variant("wider, 4 blocks", (NETWORK + "width=192", NETWORK + "num_blocks=4")),
    "blocks 7": Variant("deeper", (NETWORK + "num_blocks=7",), 1.38),
    "blocks 3": Variant("shallower", (NETWORK + "num_blocks=3",), 0.63),
    "pair width 64": Variant("default 32", (NETWORK + "pair_width=64",), 1.5),
    "pair width 16": Variant("", (NETWORK + "pair_width=16",), 0.8),
    "vector channels 4": Variant("default 16", (NETWORK + "vector_channels=4",)),
}


def run(name: str, seed: int, steps: int, num_samples: int) -> dict[str, Any]:
    """Train, sample and score one variant; what `results/ablations.jsonl` keeps of it."""
    variant = VARIANTS[name]
    return {"name": name} | speedrun.run(seed, round(steps / variant.cost), num_samples, list(variant.options))


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Markdown table of results, in the order of `VARIANTS`, all seeds of a variant below each other."""
    head = ["variant", "what differs", "seed", "steps", "precision", "core minutes"]
    head += ["EDM: molecule stable", "valid × unique", "strict: valid", "novel"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    order = list(VARIANTS)
    for row in sorted(rows, key=lambda row: (order.index(row["name"]), row["seed"])):
        edm, strict = row["report"]["edm"], row["report"]["strict"]
        scores = [edm["molecule_stable"], edm["valid_and_unique"], strict["valid"], strict["novel"]]
        cells = [
            row["name"],
            VARIANTS[row["name"]].about,
            row["seed"],
            f"{row['steps']:,}",
            row["precision"],
            f"{row['core_minutes']:.1f}",
        ]
        cells += [f"{100 * score['value']:.1f}" for score in scores]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(VARIANTS)}; none: only write the table"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS, help="of the variants that cost as much as the default")
    parser.add_argument("--num_samples", type=int, default=1000)
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in VARIANTS]:
        parser.error(f"got {unknown[0]!r}; expected names of {list(VARIANTS)}")
    QM9DataModule().setup()  # read from CSV files once per machine; that is not training
    for name in args.names:
        row = run(name, args.seed, args.steps, args.num_samples)
        keep(RESULTS, row)
    text = f"{HEAD}\n{table(kept(RESULTS))}"
    TABLE.write_text(text)
    print(text)


HEAD = """# Ablations

Each row is the speed run (`speedrun.yaml`) with something changed, from scratch on one core, for as many steps as take
about the same time, then 1,000 molecules at 50 steps. The standard error of a share of 1,000 is about 1 point;
the two rows of the default differ in arithmetic only, and tell how much training itself varies. Rows in float32 were
trained on a processor without fast bfloat16 products: compare them with the default in float32.

Each row by `python -m benchmarks.ablations "NAME" --seed S`.
"""


if __name__ == "__main__":
    main()
