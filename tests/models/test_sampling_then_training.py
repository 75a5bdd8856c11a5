"""A network that has drawn molecules can still be trained in the same process."""

import torch

from moldiff.models import Denoiser
from moldiff.testing import QM9, random_batch


def test_index_tables_made_while_sampling_serve_for_training(denoiser: Denoiser) -> None:
    batch = random_batch(QM9, sizes=(37, 37))  # a size that nothing else uses
    batch = batch.replace(pos=batch.pos.to(next(denoiser.parameters()).dtype))
    t = torch.rand(2, dtype=batch.pos.dtype)
    with torch.inference_mode():
        denoiser(batch, t)
    sum(field.square().sum() for field in denoiser(batch, t).present().values()).backward()
    assert any(parameter.grad is not None for parameter in denoiser.parameters())
