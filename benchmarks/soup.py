"""The mean of the weights of models that were trained on from the same weights (model soups, Wortsman et al. 2022).

    python -m benchmarks.soup MODEL MODEL... --out FOLDER

MODELs are folders that `moldiff export` has made, of one config. The mean is written as float16, with the statistics
of the data (such as sizes) of the first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from moldiff.diffusion.model import read_model
from moldiff.diffusion.model_folder import find_model, write_model


def main() -> None:
    """Read, average, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    models = [read_model(find_model(name)) for name in args.models]
    first, *others = models
    if any(other.config["spec"] != first.config["spec"] for other in others):
        parser.error("the models differ in the `spec` of their config.yaml; expected the same for all")
    states = [model.denoiser.state_dict() for model in models]
    mean = {name: torch.stack([state[name].float() for state in states]).mean(0).to(x) for name, x in states[0].items()}
    first.denoiser.load_state_dict(mean)
    names = " and ".join(args.models)
    write_model(first, args.out, f"# {args.out.name}\n\nThe mean of the weights of {names}.\n", half=True)
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
