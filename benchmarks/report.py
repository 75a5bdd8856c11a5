"""The measurements as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

DRAWN = (("qm9_distilled", 20), ("qm9_fast", 8), ("qm9", 50))
"""Bundled models and numbers of steps; the first is what `moldiff sample` takes by default."""


def drawn_by(model: str, num_steps: int) -> str:
    """Name of a row."""
    return f"`{model}`, {num_steps} steps"


def ratios(results: dict[str, Any], part: str, above: str, below: str) -> list[float]:
    """Rates of one contender over those of another, repeat by repeat."""
    return [a / b for a, b in zip(results[part][above], results[part][below], strict=True)]


def spread(values: list[float]) -> str:
    """Median and extremes."""
    return f"{_short(median(values))} ({_short(min(values))} … {_short(max(values))})"


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    machine, drawn = results["machine"], [drawn_by(*case) for case in DRAWN]
    names = {**results["names"], **{name: name for name in drawn}}
    repeats = len(results["training"]["default"])
    lines = [
        f"{machine['processor']}, {machine['threads']} thread(s) of {machine['cores']} cores, load {machine['load']}, "
        f"torch {machine['torch']}. Median (least … greatest) of {repeats} repeats.",
        "",
        "| molecules per second | training | sampling, prior to SDF |",
        "|---|---|---|",
    ]
    measured = {key for part in ("training", "sampling") for key in results[part]}
    for key in ("default", "compiled", "full", *drawn, "tfn", "egnn", "edm"):
        if key not in measured:
            continue
        cells = [spread(results[p][key]) if key in results[p] else "" for p in ("training", "sampling")]
        lines.append(f"| {names[key]} | {cells[0]} | {cells[1]} |")
    lines += ["", "| times faster | ratio |", "|---|---|"]
    pairs = (
        *((f"sampling, {name}, against EDM's network in EDM's form", "sampling", name, "edm") for name in drawn),
        (f"sampling, {drawn[0]}, against EDM's network in this package's form", "sampling", drawn[0], "egnn"),
        ("training, default against its N × N float32 form", "training", "default", "full"),
        ("training, default compiled, against the same", "training", "compiled", "full"),
        ("training, default against EDM's network in EDM's form", "training", "default", "edm"),
    )
    known = [(name, part, *keys) for name, part, *keys in pairs if set(keys) <= set(results[part])]
    lines += [f"| {name} | {spread(ratios(results, *rest))} |" for name, *rest in known]
    profile = results["profile"]
    lines += ["", f"Matrix throughput (a product of 2048² matrices): {profile['matrix GFLOP/s']:.0f} GFLOP/s.", ""]
    parts = list(dict.fromkeys([*profile["sampling"]["time"], *profile["training"]["time"]]))
    lines += ["| default network | sampling | training |", "|---|---|---|"]
    for label, unit in (("GFLOP/s", ""), ("share of peak", " %")):
        scale = 100 if unit else 1
        cells = [f"{scale * profile[p][label]:.0f}{unit}" for p in ("sampling", "training")]
        lines.append(f"| matrix {label} | {cells[0]} | {cells[1]} |")
    for part in parts:
        cells = [f"{profile[p]['time'].get(part, 0):.0f} %" for p in ("sampling", "training")]
        lines.append(f"| time: {part} | {cells[0]} | {cells[1]} |")
    lines += ["", "| a sampling step of the default network | ms per molecule |", "|---|---|"]
    labels = {"atoms": "{} atoms", "batch": "batch of {}", "threads": "{} thread(s)", "steps": "{} steps, all together"}
    for kind, label in labels.items():
        lines += [f"| {label.format(x)} | {_short(y)} |" for x, y in results["growth"][kind].items()]
    lines += ["", "| | |", "|---|---|"]
    lines += [f"| peak memory of sampling {n} molecules | {gib:.2f} GiB |" for n, gib in results["memory"].items()]
    lines += [f"| `{name}` | {seconds:.2f} s |" for name, seconds in results["start"].items()]
    fast, full = (_mean_of_last_half(results["curves"][key]) for key in ("default", "full"))
    count = len(results["curves"]["default"])
    lines.append(
        f"| mean loss in steps {count // 2 + 1} to {count}, default / N × N float32 | {fast:.4f} / {full:.4f} |"
    )
    return "\n".join(lines) + "\n"


def plot(results: dict[str, Any], path: Path) -> None:
    """Rates, growth and loss curves in one picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    names = {"egnn": "EGNN 9×256", "edm": "EGNN 9×256\nin EDM's form", "tfn": "tensor-field\nnetwork"}
    names["full"] = "default,\nN×N float32"
    for axis, part in zip(axes[0], ("training", "sampling"), strict=False):
        keys = sorted(results[part], key=lambda key: median(results[part][key]))
        values = [median(results[part][key]) for key in keys]
        labels = [names.get(key, key.strip("`").replace("`, ", ",\n")) for key in keys]
        bars = axis.barh(labels, values, color="#4878a8")
        axis.bar_label(bars, [_short(v) for v in values], padding=3)
        axis.set(title=f"{part}, molecules/s", xscale="log")
        axis.margins(x=0.25)
    for key, label in (("full", "N×N float32"), ("default", "default")):
        axes[0, 2].plot(results["curves"][key], label=label, alpha=0.8)
    axes[0, 2].set(title="loss of the first steps", xlabel="step", yscale="log")
    axes[0, 2].legend()
    for axis, kind, unit in zip(axes[1], ("atoms", "batch", "steps"), ("step", "step", "molecule"), strict=True):
        points = {float(x): y for x, y in results["growth"][kind].items()}
        axis.plot(list(points), list(points.values()), "o-", color="#4878a8")
        title = "ms per molecule" if unit == "molecule" else "ms per molecule and step"
        axis.set(xlabel={"atoms": "atoms", "batch": "batch size", "steps": "steps"}[kind], title=title, ylim=(0, None))
        if kind == "batch":
            axis.set_xscale("log", base=2)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _mean_of_last_half(values: list[float]) -> float:
    half = values[len(values) // 2 :]
    return sum(half) / len(half)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
