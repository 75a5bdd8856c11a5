"""Compiled blocks: the same losses, for molecules of all sizes. Set MOLDIFF_SKIP_COMPILE=1 to save the half minute."""

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

from moldiff.data import SDFDataModule
from moldiff.diffusion import CategoricalProcess, GaussianProcess
from moldiff.models import EquivariantGraphTransformer
from moldiff.training import DiffusionModule


class Losses(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        print("LOSS", batch.pos.shape[1], float(outputs["loss"]))


network = partial(EquivariantGraphTransformer, width=16, pair_width=8, vector_channels=4, num_heads=2, num_blocks=1)
fields = {"pos": GaussianProcess(), **{f: CategoricalProcess() for f in ("atom_types", "charges", "bond_types")}}
pl.seed_everything(0, verbose=False)
module = DiffusionModule(network, fields, warmup_steps=1, self_conditioning=0.0, compile=sys.argv[1] == "compile")
data = SDFDataModule(sys.argv[2], batch_size=8, limit=64)
trainer = pl.Trainer(
    accelerator="cpu", max_steps=8, logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False, limit_val_batches=0,
    callbacks=[Losses(), pl.callbacks.EMAWeightAveraging(decay=0.5)],
)
trainer.fit(module, data)
print("COMPILED", all(block._compiled_call_impl is not None for block in module.denoiser.blocks))
"""  # fmt: skip


def losses(mode, molecules, environment):
    command = [sys.executable, "-W", "ignore", "-c", CODE, mode, str(molecules)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"COMPILED {mode == 'compile'}" in lines
    return [(int(line.split()[1]), float(line.split()[2])) for line in lines if line.startswith("LOSS")]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.skipif("MOLDIFF_SKIP_COMPILE" in os.environ, reason="MOLDIFF_SKIP_COMPILE is set")
def test_compiled_training_gives_the_same_losses(molecules, environment, tmp_path):
    environment = {**environment, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}
    eager, compiled = (losses(mode, molecules, environment) for mode in ("eager", "compile"))
    sizes = [size for size, _ in eager]
    assert len(set(sizes)) > 3
    assert [size for size, _ in compiled] == sizes
    assert [loss for _, loss in compiled] == pytest.approx([loss for _, loss in eager], rel=1e-3)
