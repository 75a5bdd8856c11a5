"""What a latent model's autoencoder keeps of molecules: `python -m benchmarks.latent --model MODEL`.

Molecules of QM9's test split are encoded and decoded again, once as they are and once with the noise on the latent
that the decoder was trained with. Counted are the molecules all of whose elements, charges and bonds come back, and
the root mean square distance of an atom from where it was.
"""

from __future__ import annotations

import argparse

import torch

from moldiff.data.batch import MolBatch
from moldiff.data.datamodules import QM9DataModule
from moldiff.diffusion import LatentProcess, StreamNoise
from moldiff.diffusion.frame import centre
from moldiff.diffusion.model import Model, read_model
from moldiff.diffusion.model_folder import find_model
from moldiff.models.denoiser import FIELDS, Prediction


@torch.inference_mode()
def kept(model: Model, num_molecules: int, noisy: bool) -> dict[str, float]:
    """Shares of molecules of which a field comes back, or all of them, and the distance of the atoms, Å."""
    assert isinstance(model.process, LatentProcess), "expected a model of configs/qm9_latent.yaml"
    data = QM9DataModule(limit=num_molecules)
    noise, same, square, atoms = StreamNoise(torch.Generator().manual_seed(0)), [], 0.0, 0
    for batch in data.test_dataloader():
        assert isinstance(batch, MolBatch)
        clean = centre(batch)
        again = model.process.decode(_latent(model.process, clean, noise if noisy else None), clean.mask)
        fields = [
            (getattr(again, name) == getattr(clean, name)).logical_or(~clean.mask_of(name)).all(1)
            for name in FIELDS[1:]
        ]
        same.append(torch.stack(fields, 1))
        square += float((again.pos - clean.pos).square().sum(-1)[clean.mask].sum())
        atoms += int(clean.mask.sum())
    found = torch.cat(same)
    shares = {name: float(found[:, k].double().mean()) for k, name in enumerate(FIELDS[1:])}
    return {**shares, "all": float(found.all(1).double().mean()), "rmsd": (square / atoms) ** 0.5}


def _latent(process: LatentProcess, clean: MolBatch, noise: StreamNoise | None) -> Prediction:
    latent = process.encode(clean)
    if noise is None or latent.atom_types is None:
        return latent
    model = process.autoencoder
    return Prediction(
        latent.pos + model.position_noise * noise.normal(latent.pos),
        latent.atom_types + model.feature_noise * noise.normal(latent.atom_types),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", required=True, help="model folder or checkpoint")
    parser.add_argument("--num_molecules", type=int, default=13_083)
    args = parser.parse_args()
    model = read_model(find_model(args.model))
    for noisy in (False, True):
        shares = kept(model, args.num_molecules, noisy)
        rmsd = shares.pop("rmsd")
        text = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
        print(f"{'with' if noisy else 'without'} noise on the latent: {text}; atoms {rmsd:.3f} Å away")


if __name__ == "__main__":
    main()
