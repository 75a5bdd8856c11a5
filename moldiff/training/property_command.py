"""`moldiff evaluate-properties`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from moldiff.data import QM9DataModule
from moldiff.diffusion.model import read_model
from moldiff.diffusion.model_folder import find_model
from moldiff.diffusion.precision import Precision, use_bfloat16
from moldiff.diffusion.process_settings import prepare_process, usable_device
from moldiff.diffusion.regressor import Regressor
from moldiff.metrics.report import check_output, write_json
from moldiff.training.target_scores import score_properties


def evaluate_properties(
    model: str,
    regressor: Path,
    num_samples: int = 1000,
    guidance_scale: float = 1.0,
    properties: str | None = None,
    num_steps: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    device: str | None = None,
    precision: Precision = "auto",
    particles: int | None = None,
    source: str = "qm9pack",
    out: Path | None = None,
    overwrite: bool = False,
    trust_classes: bool = False,
) -> None:
    """Make molecules of QM9 for drawn properties, one at a time, and judge them by a regressor (EDM's protocol).

    Model and regressor should have been trained on the two halves of the data: --data.half first, --data.half second.

    Args:
        model: model folder, or checkpoint of `moldiff fit`, trained with properties.
        regressor: checkpoint of `moldiff fit-regressor`.
        num_samples: molecules for each property.
        guidance_scale: how closely properties are followed: 1 as trained; 2 closer, at twice the cost.
        properties: names of properties, separated by commas; all that model and regressor know if not given.
        num_steps: sampling steps; the model's default if not given.
        seed: of targets, sizes and noise.
        batch_size: molecules that are denoised together; 128 if not given, 512 on a GPU.
        device: torch device; a GPU if there is one, else the CPU.
        precision: of the sampler's matrix products; auto takes bfloat16 where the hardware is fast at it.
        particles: steer by the model's own regressor, with populations of so many; not if not given.
        source: of QM9, as in QM9DataModule.
        out: where to write the errors as JSON, besides printing them.
        overwrite: replace `out` if it exists.
        trust_classes: take a model and a regressor that name classes from outside of moldiff, which can run any code.
    """
    if out is not None:
        check_output(out, overwrite)
    prepare_process()
    place = usable_device(device)
    known, judge = read_model(find_model(model), trust_classes), Regressor.read(regressor, trust_classes)
    judge.network.to(place)
    known.denoiser.to(place)
    known.process.to(place)
    if known.regressor is not None:
        known.regressor.network.to(place)
    data = QM9DataModule(source=source, half="first")
    names = [name.strip() for name in properties.split(",")] if properties else None
    settings = (num_samples, guidance_scale, names, seed, num_steps, batch_size, use_bfloat16(place, precision))
    scores = score_properties(known, judge, data.train, data.test, *settings, particles)
    sys.stdout.write(f"{scores}\n")
    if out is not None:
        write_json(asdict(scores), out, overwrite)
        sys.stdout.write(f"written to {out}\n")
