"""Settings of the sampler, one changed at a time: `python -m benchmarks.samplers NAME...`, table to samplers.md.

Each is the model with its sampler (in `config.yaml` of the model folder) changed, drawn and scored as by
`benchmarks.quality`; results are added to `results/samplers.jsonl`, one line per set of molecules.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from benchmarks.quality import digest, draw_and_score, keep, kept, table
from moldiff.diffusion.model_folder import find_model

HERE = Path(__file__).parent
RESULTS, TABLE = HERE / "results" / "samplers.jsonl", HERE / "samplers.md"
POWER = {"class_path": "moldiff.diffusion.PowerGrid", "init_args": {"rho": 3.0, "last": 0.02}}
DEFAULT = {
    "class_path": "moldiff.diffusion.MultistepSampler",
    "init_args": {"grid": POWER, "jump_rate": 8.0, "temperature": 0.8},
}


def _with(**changed: Any) -> dict[str, Any]:
    return {**DEFAULT, "init_args": {**DEFAULT["init_args"], **changed}}  # type: ignore[dict-item]


def _grid(**changed: float) -> dict[str, Any]:
    return _with(grid={**POWER, "init_args": {**POWER["init_args"], **changed}})  # type: ignore[dict-item]


def _other(name: str, **options: float) -> dict[str, Any]:
    settings = deepcopy(DEFAULT) | {"class_path": f"moldiff.diffusion.{name}"}
    settings["init_args"] |= options  # type: ignore[operator]
    return settings


SAMPLERS: dict[str, dict[str, Any]] = {
    "default": DEFAULT,
    "temperature 1": _with(temperature=1.0),
    "temperature 0.9": _with(temperature=0.9),
    "temperature 0.5": _with(temperature=0.5),
    "temperature 0.1": _with(temperature=0.1),
    "jump rate 1": _with(jump_rate=1.0),
    "jump rate 3": _with(jump_rate=3.0),
    "jump rate 20": _with(jump_rate=20.0),
    "first order": _other("EulerSampler"),
    "first order, stochasticity 0.5": _other("EulerSampler", stochasticity=0.5),
    "first order, stochasticity 1": _other("EulerSampler", stochasticity=1.0),
    "Heun, as many calls": _other("HeunSampler"),
    "equal steps": _with(grid={"class_path": "moldiff.diffusion.UniformGrid"}),
    "geometric steps": _with(grid={"class_path": "moldiff.diffusion.GeometricGrid", "init_args": {"last": 0.02}}),
    "power grid, rho 2": _grid(rho=2.0),
    "power grid, rho 5": _grid(rho=5.0),
    "power grid, last 0.01": _grid(last=0.01),
    "power grid, last 0.05": _grid(last=0.05),
}
HEAD = """# Sampler settings

The model `qm9` with one setting of its sampler changed. The default: second order, `PowerGrid(rho=3, last=0.02)`, jump
rate 8, temperature 0.8. Each row by `python -m benchmarks.samplers "NAME" --steps STEPS`. Shares in percent with half a
95 % interval; the columns behind TPSA are distances to QM9's test split, see [the metrics](../docs/metrics.md).
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SAMPLERS)}")
    parser.add_argument("--model", type=Path, default=Path("qm9"), help="bundled model or folder")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_samples", type=int, default=1000)
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in SAMPLERS]:
        parser.error(f"got {unknown[0]!r}; expected names of {list(SAMPLERS)}")
    source = find_model(args.model)
    for name in args.names:
        calls = args.steps // 2 if name.startswith("Heun") else args.steps
        with tempfile.TemporaryDirectory() as parent:
            folder = shutil.copytree(source, Path(parent) / "model")
            config = yaml.safe_load((folder / "config.yaml").read_text())
            config["spec"]["sampler"] = SAMPLERS[name]
            (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
            report = draw_and_score(folder, args.num_samples, args.seed, calls)
        row = {"model": digest(source), "sampler": name, "steps": args.steps, "seed": args.seed}
        keep(RESULTS, row | {"num_samples": args.num_samples, "report": report})
    rows = [row for row in kept(RESULTS) if row["model"] == digest(source)]
    order = list(SAMPLERS)
    parts = [HEAD]
    for steps in sorted({row["steps"] for row in rows}, reverse=True):
        found = sorted((row for row in rows if row["steps"] == steps), key=lambda row: order.index(row["sampler"]))
        parts.append(f"## {steps} steps\n\n{table(found, 'sampler')}")
    TABLE.write_text("\n".join(parts))
    print(TABLE.read_text())


if __name__ == "__main__":
    main()
