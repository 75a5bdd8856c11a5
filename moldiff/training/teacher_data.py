"""Molecules that a trained model makes, each with the noise that it was made from: data to distil the model with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.data.batch import MolBatch
from moldiff.data.cache import cached_table, file_checksum
from moldiff.data.datamodule import MoleculeDataModule, TableSplits
from moldiff.data.loader import BatchSource
from moldiff.data.statistics import Statistics
from moldiff.data.table import MoleculeTable
from moldiff.diffusion.generate import generate
from moldiff.diffusion.model import Model, read_model
from moldiff.diffusion.model_folder import find_model
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.diffusion.part import Part
from moldiff.diffusion.precision import use_bfloat16
from moldiff.diffusion.process_settings import prepare_process
from moldiff.metrics.strict import strict_verdict

PROCESSING_VERSION = 1  # raise it whenever the molecules would come out different


@dataclass(frozen=True)
class PairBatch:
    """B molecules and the noise from which the teacher made them, in one frame."""

    molecules: MolBatch
    noise: Float[Tensor, "B N 3"]  # coordinates at t = 1, Å; zero mean

    @property
    def mask(self) -> Bool[Tensor, "B N"]:
        """True = atom."""
        return self.molecules.mask

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PairBatch:
        """The same batch on another device."""
        return PairBatch(self.molecules.to(device, non_blocking), self.noise.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> PairBatch:
        """The same batch in page-locked memory, for fast copies to a GPU."""
        return PairBatch(self.molecules.pin_memory(), self.noise.pin_memory())

    def __len__(self) -> int:
        """Number of molecules."""
        return len(self.molecules)


@dataclass(frozen=True)
class PairSource:
    """Batches of molecules with their noise, which is drawn again from the teacher's keys."""

    table: MoleculeTable
    teacher: Model
    noise_seed: int

    def __len__(self) -> int:
        """Number of molecules."""
        return len(self.table)

    def __getitems__(self, indices: Sequence[int]) -> PairBatch:
        """What a `DataLoader` with a batch sampler calls."""
        molecules = self.table.batch(indices)
        keys = MoleculeNoise(self.noise_seed, self.table.index[torch.as_tensor(indices)])
        return PairBatch(molecules, self.teacher.process.prior(molecules.mask, keys).pos)


class TeacherDataModule(MoleculeDataModule):
    """Valid molecules (by the strict rule) that a model makes, with the coordinates of the noise that each came from.

    They are made at the first use, on the CPU or a GPU if there is one, and cached part by part: if that is stopped,
    the next use goes on. 50,000 molecules of the size of QM9's with 25 steps take about 20 minutes on one core.

    Args:
        teacher: bundled model, model folder or checkpoint.
        num_molecules: molecules to make; those that are not valid are left out.
        num_steps: sampling steps of the teacher; its default if null.
        noise_seed: of sizes and noise of the teacher.
        val_fraction: share of the molecules for validation.
        batch_size: molecules per batch.
        num_workers: processes that gather batches; 0 is fast enough.
        seed: of the order of the training batches.
        limit: keep at most this many molecules of each split, for quick trials.

    Raises (in `setup`):
        FileNotFoundError: if there is no such model.
        ValueError: if the model cannot be read, or no molecule is valid.
    """

    def __init__(
        self,
        teacher: str | Path = "qm9",
        num_molecules: int = 50_000,
        num_steps: int | None = None,
        noise_seed: int = 1,
        val_fraction: float = 0.04,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, seed, limit)
        if num_molecules < 2 or not 0 <= val_fraction < 1:
            raise ValueError(
                f"Got num_molecules={num_molecules}, val_fraction={val_fraction}; expected at least 2 molecules and a "
                "fraction from 0 to below 1"
            )
        self.teacher, self.num_molecules, self.num_steps = teacher, num_molecules, num_steps
        self.noise_seed, self.val_fraction = noise_seed, val_fraction
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """The teacher."""
        if self._model is None:
            self._model = read_model(find_model(self.teacher))
        return self._model

    @property
    def statistics(self) -> Statistics:
        """Of the teacher's training data: student and teacher start from the same noise."""
        return self.model.statistics

    def load(self) -> TableSplits:
        """Read the cached molecules, or let the teacher make them."""
        path, model = find_model(self.teacher), self.model
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        steps = self.num_steps or model.num_steps
        files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix != ".md")
        name = " ".join([*map(file_checksum, files), f"{self.num_molecules} {steps} {self.noise_seed} {device.type}"])
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        num_parts = -(-self.num_molecules // _PART)
        model.denoiser.to(device)
        model.process.to(device)
        parts = [
            cached_table(f"drawn-{digest}-{k}", PROCESSING_VERSION, partial(self._draw, k, num_parts, steps, device))
            for k in tqdm(range(num_parts), "The teacher's molecules", unit=f" x {_PART}", disable=None)
        ]
        model.denoiser.cpu()
        model.process.cpu()
        table = MoleculeTable.concatenate(parts)
        if len(table) < 2:
            raise ValueError(f"Got {len(table)} valid molecules from {self.num_molecules}; expected a trained teacher")
        table = table.subset(table.index.argsort())  # drawn size by size
        num_val = int(self.val_fraction * len(table))
        every = range(len(table))
        return TableSplits(table.subset(every[num_val:]), table.subset(every[:num_val]), table.subset([]))

    def _draw(self, rank: int, num_ranks: int, steps: int, device: torch.device) -> MoleculeTable:
        prepare_process()
        part, bfloat16 = Part(rank, num_ranks), use_bfloat16(device) and self.model.denoiser.bears_bfloat16
        drawn = generate(self.model, self.num_molecules, self.noise_seed, steps, bfloat16=bfloat16, part=part)
        molecules: list[MoleculeArrays] = []
        index: list[int] = []
        smiles: list[str] = []
        for batch in drawn:
            for i, molecule in zip(batch.indices, batch.molecules, strict=True):
                verdict = strict_verdict(to_mol(molecule, self.model.statistics.vocabulary.hydrogens))
                if verdict.smiles is not None:
                    molecules.append(molecule)
                    index.append(i)
                    smiles.append(verdict.smiles)
        return MoleculeTable.from_arrays(molecules, index, None, smiles, self.model.statistics.vocabulary)

    def _source(self, table: MoleculeTable) -> BatchSource[Any]:
        return PairSource(table, self.model, self.noise_seed)


_PART = 2000
