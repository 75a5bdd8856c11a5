"""From a training checkpoint to a model folder."""

from __future__ import annotations

from pathlib import Path

import yaml

from moldiff.chem.files import read_text
from moldiff.diffusion.model import read_checkpoint, read_model
from moldiff.diffusion.model_folder import write_model


def export_checkpoint(
    checkpoint: Path, out: Path, card: Path | None = None, trust: bool = False, half: bool = False
) -> None:
    """Write `model.safetensors` + `config.yaml` + `card.md` for a checkpoint of `moldiff fit`.

    Args:
        checkpoint: the .ckpt file.
        out: folder to make.
        card: a text that is put into card.md above the settings of the run.
        trust: whether the checkpoint may name classes from outside of this package, which can run any code.
        half: whether the weights are kept as float16.

    Raises:
        FileNotFoundError: if the checkpoint or the card's text is missing.
        FileExistsError: if `out` exists.
        ValueError: if the checkpoint cannot be read.
    """
    text = read_text(card) if card is not None else f"# {out.name}\n"
    model = read_model(checkpoint, trust)  # checks what is in it
    state = read_checkpoint(checkpoint)
    settings = {k: v for k, v in state["hyper_parameters"].items() if not k.startswith("_")}
    averaged = "averaged" if "averaging_state" in state else "raw"
    run = (
        f"Trained for {state.get('global_step')} steps ({state.get('epoch')} whole epochs) on "
        f"{model.statistics.num_molecules} molecules with the elements "
        f"{', '.join(model.statistics.vocabulary.elements)}; {averaged} weights."
    )
    body = yaml.safe_dump(settings, sort_keys=False)
    write_model(model, out, f"{text.rstrip()}\n\n## Training run\n\n{run}\n\n```yaml\n{body}```\n", half)
