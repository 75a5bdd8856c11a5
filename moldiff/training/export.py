"""From a training checkpoint to a model folder."""

from __future__ import annotations

from pathlib import Path

import yaml

from moldiff.diffusion.model import read_checkpoint, read_model
from moldiff.diffusion.model_folder import write_model


def export_checkpoint(checkpoint: Path, out: Path, card: Path | None = None, trust: bool = False) -> None:
    """Write `model.safetensors` + `config.yaml` + `card.md` for a checkpoint of `moldiff fit`.

    Args:
        checkpoint: the .ckpt file.
        out: folder to make.
        card: a text that is put into card.md above the settings of the run.
        trust: whether the checkpoint may name classes from outside of this package, which can run any code.

    Raises:
        FileNotFoundError: if the checkpoint or the card's text is missing.
        FileExistsError: if `out` exists.
        ValueError: if the checkpoint cannot be read.
    """
    text = card.read_text(encoding="utf-8") if card is not None else f"# {out.name}\n"
    state = read_checkpoint(checkpoint)
    settings = {k: v for k, v in state["hyper_parameters"].items() if not k.startswith("_")}
    averaged = "averaged" if "averaging_state" in state else "raw"
    statistics = state["statistics"]
    run = (
        f"Trained for {state['global_step']} steps ({state['epoch']} whole epochs) on {statistics['num_molecules']} "
        f"molecules with the elements {', '.join(statistics['vocabulary']['elements'])}; {averaged} weights."
    )
    body = yaml.safe_dump(settings, sort_keys=False)
    write_model(read_model(checkpoint, trust), out, f"{text.rstrip()}\n\n## Training run\n\n{run}\n\n```yaml\n{body}```\n")
