"""Scores of molecules drawn while a model is trained."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from rdkit import Chem

from moldiff.chem.arrays import to_mol
from moldiff.diffusion.generate import generate
from moldiff.diffusion.precision import use_bfloat16
from moldiff.metrics.evaluation import evaluate
from moldiff.training.module import DiffusionModule


class SampleScores(pl.Callback):
    """Logs scores of molecules drawn at validation, from the averaged weights if averaging is on, as `samples/...`."""

    def __init__(
        self, num_samples: int = 100, every_n_epochs: int = 1, num_steps: int | None = None, seed: int = 0
    ) -> None:
        """`num_steps`: the model's default if None."""
        if num_samples < 1 or every_n_epochs < 1:
            raise ValueError(
                f"num_samples and every_n_epochs must be at least 1: got {num_samples} and {every_n_epochs}"
            )
        self.num_samples, self.every_n_epochs, self.num_steps, self.seed = num_samples, every_n_epochs, num_steps, seed
        self.scores: dict[str, float] = {}

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Sample before the first batch, when averaged weights are in place whatever the order of the callbacks."""
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0 and not trainer.sanity_checking
        if batch_idx == 0 and dataloader_idx == 0 and due and trainer.is_global_zero:
            assert isinstance(pl_module, DiffusionModule)
            bfloat16 = use_bfloat16(pl_module.device) and pl_module.denoiser.bears_bfloat16
            batches = generate(pl_module.model(), self.num_samples, self.seed, self.num_steps, bfloat16=bfloat16)
            hydrogens = pl_module.model().statistics.vocabulary.hydrogens
            mols = [to_mol(m, hydrogens) for batch in batches for m in batch.molecules]
            report = evaluate(mols if hydrogens else [Chem.AddHs(mol) for mol in mols], None, metrics=())
            self.scores = {
                "samples/strict_valid": report.strict.valid.value,
                "samples/strict_valid_and_unique": report.strict.valid_and_unique.value,
            }
            if hydrogens:  # EDM's rule wants them, with coordinates
                self.scores |= {
                    "samples/edm_molecule_stable": report.edm.molecule_stable.value,
                    "samples/edm_atom_stable": report.edm.atom_stable.value,
                }

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the scores."""
        if self.scores:
            pl_module.log_dict(self.scores, rank_zero_only=True)
            self.scores = {}
