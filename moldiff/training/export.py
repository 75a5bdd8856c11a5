"""From a training checkpoint to a model folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from moldiff.chem.files import read_text
from moldiff.diffusion.checkpoint import read_checkpoint
from moldiff.diffusion.model import Model, read_model
from moldiff.diffusion.model_folder import write_model
from moldiff.diffusion.regressor import Regressor


def export_checkpoint(
    checkpoint: Path,
    out: Path,
    card: Path | None = None,
    trust: bool = False,
    half: bool = False,
    regressor: Path | None = None,
) -> None:
    """Write `model.safetensors` + `config.yaml` + `card.md` for a checkpoint of `moldiff fit`.

    Args:
        checkpoint: the .ckpt file.
        out: folder to make.
        card: a text that is put into card.md above the settings of the run.
        trust: whether the checkpoint may name classes from outside of this package, which can run any code.
        half: whether the weights are kept as float16.
        regressor: a checkpoint of `moldiff fit-regressor` that is put into the folder `regressor`, for models that are
            asked for properties.

    Raises:
        FileNotFoundError: if the checkpoint or the card's text is missing.
        FileExistsError: if `out` exists.
        ValueError: if the checkpoint cannot be read.
    """
    text = read_text(card) if card is not None else f"# {out.name}\n"
    model = read_model(checkpoint, trust)  # checks what is in it
    if regressor is not None:
        model = replace(model, regressor=_regressor_of(model, regressor, trust))
    state = read_checkpoint(checkpoint)
    settings = {k: v for k, v in state["hyper_parameters"].items() if not k.startswith("_")}
    averaged = "averaged" if "averaging_state" in state else "raw"
    epochs = _whole_epochs(state)
    run = (
        f"Trained for {state.get('global_step')} steps ({epochs} whole epoch{'' if epochs == 1 else 's'}) on "
        f"{model.statistics.num_molecules} molecules with the elements "
        f"{', '.join(model.statistics.vocabulary.elements)}; {averaged} weights."
    )
    body = yaml.safe_dump(settings, sort_keys=False)
    write_model(model, out, f"{text.rstrip()}\n\n## Training run\n\n{run}\n\n```yaml\n{body}```\n", half)


def _whole_epochs(state: dict[str, Any]) -> int:
    """Epochs that a run has finished; Lightning counts the last one only after the checkpoint at its end is saved."""
    loop = state["loops"]["fit_loop"]
    epochs: dict[str, int] = loop["epoch_progress"]["current"]
    return epochs["processed"] + (
        epochs["ready"] > epochs["processed"] and loop["epoch_loop.batch_progress"]["is_last_batch"]
    )


def _regressor_of(model: Model, path: Path, trust: bool) -> Regressor:
    """A regressor that understands the molecules of a model, and knows some property that it is asked for."""
    regressor, asked = Regressor.read(path, trust), model.denoiser.properties
    elements = [x.statistics.vocabulary.elements for x in (regressor, model)]
    if elements[0] != elements[1] or not set(regressor.network.properties) & set(asked):
        raise ValueError(
            f"the regressor at {path} does not suit the model: got {', '.join(regressor.network.properties)} of "
            f"molecules of {', '.join(elements[0])}; expected some of {', '.join(asked) or '(no properties)'} of "
            f"{', '.join(elements[1])}"
        )
    return regressor
