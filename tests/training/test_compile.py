"""Compiled blocks: the same losses, for molecules of all sizes.

By default they are traced only (dynamic shapes, gradients); MOLDIFF_TEST_COMPILE=1 makes C++ of them too, which takes a
minute and needs a compiler.
"""

import os
import shutil
import subprocess
import sys

import pytest

# A process of its own: the run-time checks of the tests' import hook cannot be compiled.
CODE = """
import sys
from functools import partial

import pytorch_lightning as pl
import torch

from moldiff.data import SDFDataModule
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule


class Losses(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        print("LOSS", pl_module.compile_blocks, batch.pos.shape[1], float(outputs["loss"]))


torch.compile = partial(torch.compile, backend=sys.argv[1])
network = partial(
    EquivariantGraphTransformer, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=1,
    self_conditioning=False,
)
for compiled in (False, True):
    fields = {"pos": GaussianProcess(), **{f: CategoricalProcess() for f in ("atom_types", "charges", "bond_types")}}
    pl.seed_everything(0, verbose=False)
    module = DiffusionModule(network, fields, warmup_steps=1, compile=compiled)
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=8, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0,
        callbacks=[Losses(), pl.callbacks.EMAWeightAveraging(decay=0.5)],
    )
    trainer.fit(module, SDFDataModule(sys.argv[2], batch_size=8, limit=64))
    assert all((block._compiled_call_impl is not None) == compiled for block in module.denoiser.blocks)
"""  # fmt: skip


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_training_gives_the_same_losses(backend, molecules, environment, tmp_path):
    if backend == "inductor" and not (os.environ.get("MOLDIFF_TEST_COMPILE") and shutil.which("g++")):
        pytest.skip("needs MOLDIFF_TEST_COMPILE=1 and g++")
    folders = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor"), "MOLDIFF_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-W", "ignore", "-c", CODE, backend, str(molecules)]
    done = subprocess.run(command, env={**environment, **folders}, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines() if line.startswith("LOSS")]
    eager, compiled = ([(int(n), float(x)) for _, kind, n, x in words if kind == which] for which in ("False", "True"))
    sizes = [size for size, _ in eager]
    assert len(sizes) == 8
    assert len(set(sizes)) > 3
    assert [size for size, _ in compiled] == sizes
    assert [loss for _, loss in compiled] == pytest.approx([loss for _, loss in eager], rel=1e-3)
