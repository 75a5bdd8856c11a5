"""The LightningModule: corrupt, predict, score, step. The mathematics is in `moldiff.diffusion`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.datamodule import MoleculeDataModule
from moldiff.data.pocket_batch import ComplexBatch, PocketBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion.checkpoint import load_weights
from moldiff.diffusion.frame import own_frame
from moldiff.diffusion.joint import JointProcess
from moldiff.diffusion.latent import LatentProcess, process_of
from moldiff.diffusion.model import SPEC_KEYS, Model, read_statistics
from moldiff.diffusion.model_folder import find_model
from moldiff.diffusion.noise import Noise, StreamNoise
from moldiff.diffusion.process import Process
from moldiff.diffusion.properties import hidden, known_to, normalised
from moldiff.diffusion.sampler import EulerSampler, Sampler
from moldiff.models.denoiser import Context, Denoiser
from moldiff.models.pocket_encoder import EncodedPocket
from moldiff.training.bad_batches import BadBatches, OnBadBatch, fault_of_data, fault_of_losses
from moldiff.training.guarded_module import GuardedModule
from moldiff.training.schedule import keep_as_config, optimizers, warn_if_done


class DiffusionModule(GuardedModule):
    """Trains a denoiser to undo a joint noise process.

    The network and the processes are built when the data are known (`configure_model`), for their vocabulary and
    statistics, which are kept in every checkpoint. All random numbers of a step depend on the seed and the step only,
    so an interrupted run goes on as an uninterrupted one. (With accumulated gradients, save after a number of steps:
    checkpoints saved by the clock can fall between the parts of a step, and do not hold the gradients of the first.)
    """

    denoiser: Denoiser
    process: JointProcess | LatentProcess

    def __init__(
        self,
        denoiser: Callable[[Vocabulary], Denoiser],
        processes: dict[str, Process],
        sampler: Sampler | None = None,
        num_steps: int = 50,
        lr: float = 2e-3,
        weight_decay: float = 0.0,
        warmup_steps: int = 200,
        decay_fraction: float = 0.0,
        self_conditioning: float = 0.5,
        data_focus: float = 0.5,
        pocket_dropout: float = 0.1,
        pocket_draws: int = 1,
        property_dropout: float = 0.1,
        init_from: Path | None = None,
        compile: bool = False,
        on_bad_batch: OnBadBatch = "stop",
        seed: int = 0,
    ) -> None:
        """Settings of a training run.

        Args:
            denoiser: class of the network with its arguments, except the vocabulary.
            processes: field name -> noise law.
            sampler: how molecules are drawn from the model by default, with `num_steps` steps.
            num_steps: default number of sampling steps.
            lr: learning rate of Muon; AdamW takes half of it.
            weight_decay: decoupled weight decay.
            warmup_steps: steps of linear warm-up.
            decay_fraction: last share of the planned steps, in which the rate falls linearly to zero; 0: constant.
            self_conditioning: how often the network sees its own earlier estimate (Chen 2023), if it can; above 0,
                since samplers show it to such a network.
            data_focus: share of the times that are drawn from Beta(1, 2), nearer to the data; the others are uniform.
            pocket_dropout: share of the molecules in pockets whose pocket is hidden from the network.
            pocket_draws: noisy copies of each ligand in a training step, all with the pocket that is encoded once.
            property_dropout: share of the molecules whose properties are all hidden from the network, if it reads any;
                of the others random ones are shown.
            init_from: bundled model, model folder or checkpoint whose weights a new run starts from (to resume, use
                --ckpt_path). The data may lack some of the elements and charges that it knows. Weights for properties
                and (without a pocket encoder) for further blocks may be missing: they begin without effect.
            compile: compile the network's blocks with TorchInductor (needs a C++ compiler; minutes at the start): once
                with gradients and once without, for padded and for unpadded batches, for one size and for any.
            on_bad_batch: what is done if coordinates, losses or gradients of a batch are no finite numbers: "stop" with
                an error that names the molecules, or "skip" the batch with a warning that does: its gradient counts as
                zero.
            seed: seed of times and noise.
        """
        super().__init__()
        self.save_hyperparameters()
        self.is_config = keep_as_config(self, "denoiser")
        self.make_denoiser, self.processes = denoiser, processes
        self.sampler, self.num_steps = sampler or EulerSampler(), num_steps
        self.lr, self.weight_decay, self.warmup_steps, self.decay_fraction = (
            lr,
            weight_decay,
            warmup_steps,
            decay_fraction,
        )
        self.self_conditioning, self.data_focus = self_conditioning, data_focus
        if pocket_draws < 1:
            raise ValueError(f"pocket_draws must be at least 1: got {pocket_draws}")
        shares = (self_conditioning, data_focus, pocket_dropout, property_dropout)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(
                "self_conditioning, data_focus, pocket_dropout and property_dropout are shares, from 0 to 1: got "
                f"{', '.join(map(str, shares))}"
            )
        self.pocket_dropout, self.pocket_draws = pocket_dropout, pocket_draws
        self.property_dropout = property_dropout
        self.init_from, self.compile_blocks, self.seed = init_from, compile, seed
        self.bad_batches = BadBatches(on_bad_batch)
        self.statistics: Statistics | None = None

    def build(self, statistics: Statistics) -> None:
        """Make the network, if there is none, and calibrate the processes."""
        if self.statistics is None:
            self.denoiser = self.make_denoiser(statistics.vocabulary)
            if self.denoiser.self_conditioning and not self.self_conditioning:
                raise ValueError(
                    "the network reads its earlier estimate, which samplers show it: got self_conditioning = 0, so "
                    "training would never do; give a share above 0, or self_conditioning: false to the network"
                )
        statistics = known_to(self.denoiser.properties, statistics)
        self.statistics = statistics
        self.process = process_of(self.denoiser, self.processes, statistics).to(self.device)

    def configure_model(self) -> None:
        """Lightning's hook: build for the data of the run."""
        if self._trainer is None:  # load_from_checkpoint: `on_load_checkpoint` comes next
            return
        if self.statistics is None:
            data = self.trainer.datamodule  # type: ignore[attr-defined]
            if data is None:
                raise ValueError(
                    "the network is built for the statistics of the data, which are missing: give the trainer a "
                    "MoleculeDataModule as `datamodule`, or call `build(statistics)` before"
                )
            if self.init_from is None:
                self.build(data.statistics)
            else:
                self._go_on_from(self.init_from, data)
        if not self.denoiser.bears_bfloat16 and "bf16" in str(self.trainer.precision):
            warnings.warn(
                f"coordinates go through the matrix products of this {type(self.denoiser).__name__}, and "
                f"{self.trainer.precision} rounds them: give --trainer.precision 32-true",
                stacklevel=2,
            )
        if self.compile_blocks:
            torch._dynamo.config.recompile_limit = max(32, torch._dynamo.config.recompile_limit)  # see `compile`
            for block in self.denoiser.blocks:
                block.compile(dynamic=True)

    def _go_on_from(self, model: Path, data: MoleculeDataModule) -> None:
        """Build for the data in the vocabulary of a model, which may be larger than theirs, with its weights."""
        path = find_model(model)
        known, given = read_statistics(path).vocabulary, data.vocabulary
        if known.hydrogens != given.hydrogens:
            raise ValueError(
                f"init_from: the model at {model} knows {known}: got data with {given}: molecules of both must have "
                "their hydrogens, or of neither"
            )
        try:
            data.recode(known)
        except ValueError as error:
            raise ValueError(
                f"init_from: the model at {model} knows {known}: got data with {given} ({error}); leave out the "
                "molecules that it does not know, or start from a model that knows them, or from none"
            ) from error
        self.build(data.statistics)
        assert self.statistics is not None
        if self.statistics.vocabulary != known:
            raise ValueError(
                f"init_from: the model at {model} knows {known}: got a teacher that knows {self.statistics.vocabulary};"
                " give two of one vocabulary"
            )
        load_weights(self.denoiser, path, may_lack=self.denoiser.optional)

    def model(self) -> Model:
        """The model as it stands, to draw molecules from it or to save it; it shares the weights.

        Raises:
            ValueError: if the network is not built yet.
        """
        if self.statistics is None:
            raise ValueError("there is no network yet: fit the module, or call `build(statistics)`")
        config: dict[str, Any] = {}
        if self.is_config:
            spec = {key: self.hparams[key] for key in SPEC_KEYS}
            config = {"spec": spec, "statistics": self.statistics.to_dict()}
        return Model(self.denoiser, self.process, self.sampler, self.num_steps, self.statistics, config)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the statistics with the weights."""
        assert self.statistics is not None
        checkpoint["statistics"] = self.statistics.to_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build for the statistics of the checkpoint.

        Raises:
            ValueError: if the module is built for data of another vocabulary.
        """
        warn_if_done(self._trainer, checkpoint)
        statistics = Statistics.from_dict(checkpoint["statistics"])
        known, given = statistics.vocabulary, self.statistics.vocabulary if self.statistics else None
        if given is not None and given != known:
            raise ValueError(
                f"the data are not those of the checkpoint: {known.difference(given)}; give the same data, or train "
                "its model further on these, from a folder that `moldiff export` makes: --model.init_from FOLDER"
            )
        self.build(statistics)

    def times(self, count: int, noise: Noise) -> Float[Tensor, " B"]:
        """Times of a batch: stratified, a share of them nearer to the data.

        The strata are dealt out at random, since the molecules of a batch are sorted by size.
        """
        place = noise.uniform(torch.empty(count, device=self.device)).argsort().float()
        u = (place + noise.uniform(place)) / count
        focus = noise.uniform(u) < self.data_focus
        return torch.where(focus, 1 - (1 - u).sqrt(), u).clamp(1e-4, 1 - 1e-4)

    def properties_of(self, clean: MolBatch) -> Float[Tensor, "B C"] | None:
        """What a network that reads properties is told of molecules; None if it reads none."""
        assert self.statistics is not None
        names = self.denoiser.properties
        return normalised(clean, names, self.statistics) if names else None

    def losses(
        self,
        clean: MolBatch,
        noise: Noise,
        conditioned: bool,
        pocket: PocketBatch | EncodedPocket | None = None,
        properties: Float[Tensor, "B C"] | None = None,
    ) -> tuple[dict[str, Float[Tensor, " B"]], Tensor]:
        """Weighted loss of each field and molecule at random times, and the times.

        Args:
            clean: centred molecules.
            noise: of the times and the fields.
            conditioned: whether the network is shown its own estimate.
            pocket: around each molecule.
            properties: that the network is shown of each molecule; none if not given.
        """
        t = self.times(len(clean), noise)
        noisy = self.process.corrupt(clean, t, noise)
        context = self.denoiser.prepare(Context(pocket=pocket, properties=properties))
        if conditioned:
            with torch.no_grad():
                estimate = self.process.estimate(noisy, self.denoiser(noisy, t, context), t)
            context = replace(context, previous=estimate)
        losses = self.process.loss(self.denoiser(noisy, t, context), clean, noisy, t)
        return {**losses, **self.process.coding_loss(clean, noise)}, t

    def training_step(self, batch: MolBatch | ComplexBatch, batch_idx: int) -> Tensor:
        """One step on one batch; see `on_bad_batch`."""
        noise = self.noise_of_step(batch_idx)
        conditioned = self.denoiser.self_conditioning and self.global_step * _GOLDEN % 1 < self.self_conditioning
        clean, around = own_frame(batch)
        assert self.statistics is not None
        if fault := fault_of_data(clean, self.statistics.vocabulary):
            return self.without(fault)
        pocket = None
        if around is not None and getattr(self.process.processes["pos"], "align_noise", False) is True:
            raise ValueError(
                "noise that is turned towards a molecule tells how it lies in its pocket, which no sampler knows: got "
                "align_noise = true; set it to permutation, as in configs/pocket.yaml"
            )
        if around is not None:  # hidden from some, so that the model works without a pocket, too
            kept = noise.uniform(around.pos[:, 0, 0]) >= self.pocket_dropout
            pocket = self.denoiser.prepare(Context(pocket=around.replace(mask=around.mask & kept[:, None]))).pocket
            assert isinstance(pocket, EncodedPocket)
            copies = torch.arange(len(batch), device=self.device).repeat_interleave(self.pocket_draws)
            clean, pocket = clean.take(copies), pocket.take(copies)
        properties = self.properties_of(clean)
        if properties is not None:
            properties = hidden(properties, noise, self.property_dropout)
        losses, _ = self.losses(clean, noise, conditioned, pocket, properties)
        return self.logged(losses, clean, len(batch))

    def noise_of_step(self, batch_idx: int) -> StreamNoise:
        """Noise of a training step, which hangs on the seed and the step only; each part of a step has its own."""
        parts = self.trainer.accumulate_grad_batches
        part = self.global_rank * parts + batch_idx % parts
        seed = self.seed * 1_000_003 + self.global_step + part * 2**40
        return StreamNoise(torch.Generator(self.device).manual_seed(seed))

    def logged(self, losses: dict[str, Float[Tensor, " B"]], clean: MolBatch, batch_size: int) -> Tensor:
        """The loss of a training step, from that of each field and molecule, if it is a finite number."""
        assert self.statistics is not None
        means = {f"train/{name}": value.mean() for name, value in losses.items()}
        loss = torch.stack(list(means.values())).sum()
        if not loss.isfinite():
            return self.without(fault_of_losses(losses, clean, self.statistics.vocabulary))
        self.log_dict({**means, "train/loss": loss}, batch_size=batch_size)
        return loss

    def weights(self) -> list[tuple[str, nn.Parameter]]:
        """See `GuardedModule`."""
        return list(self.denoiser.named_parameters())

    def validation_step(self, batch: MolBatch | ComplexBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Losses at fixed noise, in all and per fifth of the time axis."""
        self._log_losses("val", batch, batch_idx)

    def test_step(self, batch: MolBatch | ComplexBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """The same on the test split."""
        self._log_losses("test", batch, batch_idx)

    def _log_losses(self, split: str, batch: MolBatch | ComplexBatch, batch_idx: int) -> None:
        clean, pocket = own_frame(batch)
        if pocket is None:
            self._log_fields(split, clean, batch_idx)
            if self.denoiser.properties:
                self._log_other(f"{split}/no_properties/loss", clean, batch_idx)
            return
        self._log_fields(f"{split}/pocket", clean, batch_idx, pocket)
        others = {"no_pocket": None, "other_pocket": pocket[torch.arange(len(clean)).roll(1)]}
        for name, other in others.items() if len(clean) > 1 else ():
            self._log_other(f"{split}/{name}/loss", clean, batch_idx, other, self.properties_of(clean))

    def _log_other(
        self,
        name: str,
        clean: MolBatch,
        batch_idx: int,
        pocket: PocketBatch | None = None,
        properties: Tensor | None = None,
    ) -> None:
        """The loss under other conditions than the molecules'."""
        conditioned = self.denoiser.self_conditioning
        losses, _ = self.losses(clean, self._fixed_noise(batch_idx), conditioned, pocket, properties)
        self._log_mean(name, torch.stack(list(losses.values())).sum(0))

    def _fixed_noise(self, batch_idx: int) -> StreamNoise:
        return StreamNoise(torch.Generator(self.device).manual_seed(batch_idx))

    def _log_fields(self, split: str, clean: MolBatch, batch_idx: int, pocket: PocketBatch | None = None) -> None:
        noise, conditioned = self._fixed_noise(batch_idx), self.denoiser.self_conditioning
        losses, t = self.losses(clean, noise, conditioned, pocket, self.properties_of(clean))
        self._log_mean(f"{split}/loss", torch.stack(list(losses.values())).sum(0), prog_bar=True)
        for name, value in losses.items():
            self._log_mean(f"{split}/{name}", value)
            for low in (0.0, 0.2, 0.4, 0.6, 0.8):
                inside = (t >= low) & (t < low + 0.2)
                if inside.any() or self.trainer.world_size > 1:  # all processes log the same names, and share them
                    self._log_mean(f"{split}/{name}/t{low:.1f}", value[inside])

    def _log_mean(self, name: str, values: Float[Tensor, " B"], prog_bar: bool = False) -> None:
        """Names tell molecules and complexes apart, so Lightning need not number the loaders."""
        mean = values.mean() if len(values) else values.new_zeros(())
        shared = self.trainer.world_size > 1
        self.log(name, mean, batch_size=len(values), prog_bar=prog_bar, add_dataloader_idx=False, sync_dist=shared)

    def on_validation_epoch_end(self) -> None:
        """Log beside the losses what always predicting the marginals would cost."""
        for name, value in self.process.baselines().items():
            self.log(f"val/{name}/marginals", value, sync_dist=self.trainer.world_size > 1)

    def on_test_epoch_end(self) -> None:
        """The same on the test split."""
        for name, value in self.process.baselines().items():
            self.log(f"test/{name}/marginals", value, sync_dist=self.trainer.world_size > 1)

    def configure_optimizers(self) -> Any:
        """Muon and AdamW with warm-up, constant rate and an optional linear decay."""
        rates = (self.lr, self.weight_decay, self.warmup_steps, self.decay_fraction)
        return optimizers(self.trainer, self.denoiser.named_parameters(), *rates)


_GOLDEN = 0.6180339887498949
