"""Training of a student that takes few steps where its teacher takes many."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.data.pocket_batch import ComplexBatch, PocketBatch
from moldiff.data.statistics import Statistics
from moldiff.diffusion.classifier_free import GuidedDenoiser
from moldiff.diffusion.frame import centre, own_frame
from moldiff.diffusion.guidance import GuidedProcess
from moldiff.diffusion.guides import PocketClashes
from moldiff.diffusion.joint import JointProcess
from moldiff.diffusion.model import Model, read_model
from moldiff.diffusion.model_folder import find_model
from moldiff.diffusion.noise import MoleculeNoise, Noise
from moldiff.diffusion.placement import PlacedProcess
from moldiff.diffusion.process import Process
from moldiff.diffusion.properties import hidden
from moldiff.diffusion.sampler import EulerSampler, MoleculeProcess, Sampler
from moldiff.models.denoiser import Context, Denoiser, Prediction
from moldiff.training.bad_batches import OnBadBatch, fault_of_data
from moldiff.training.module import DiffusionModule
from moldiff.training.underway import Underway

UNDERWAY = 4  # batches at each step: a batch holds molecules of about one size, and several sizes are to be taught


class DistillationModule(DiffusionModule):
    """Distils a model: a student learns to do with each of its few steps what its teacher does with several.

    Progressive distillation (Salimans & Ho 2022) in one stage, on states of the student's own (as in Ross 2011,
    DAgger): the student draws molecules; from where they are, the teacher takes its steps to the student's next time;
    the student is trained towards the one step that would have led there, and, for classes, towards the teacher's
    estimate there. So it learns to mend its own errors, which training on noisy data never shows.

    Some batches of molecules are underway at a time, as many at each of the student's steps. A training step takes one
    of them, teaches the student there, and moves it on by the answer that the student gave; where molecules have
    arrived, others set out, from pure noise. Of the data, sizes, properties and pockets are used.
    """

    def __init__(
        self,
        denoiser: Callable[[Vocabulary], Denoiser],
        processes: dict[str, Process],
        teacher: Path,
        sampler: Sampler | None = None,
        num_steps: int = 8,
        teacher_steps: int | None = None,
        guidance_scale: float = 1.0,
        avoid_clashes: float = 0.0,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        warmup_steps: int = 50,
        decay_fraction: float = 0.5,
        property_dropout: float = 0.1,
        init_from: Path | None = None,
        trust_classes: bool = False,
        on_bad_batch: OnBadBatch = "stop",
        seed: int = 0,
    ) -> None:
        """Settings of a training run; those that are not explained here as in `DiffusionModule`.

        Args:
            denoiser: class of the network with its arguments: as the teacher's, unless `init_from` is given.
            processes: field name -> noise law, as the teacher's.
            teacher: bundled model, model folder or checkpoint.
            sampler: how the student draws molecules: an `EulerSampler` without stochasticity.
            num_steps: of the student.
            teacher_steps: whose times the teacher goes through; its default number if not given.
            guidance_scale: how far the teacher follows properties that are asked for (see `GuidedDenoiser`); the
                student learns to do so by itself, at the cost of one network (Meng 2023).
            avoid_clashes: scale of the guide `PocketClashes`, by which teacher and student are kept out of the pocket's
                atoms while it is taught, as in sampling (where 1 is the default); molecules without a pocket are free.
            lr: learning rate of Muon; AdamW takes half of it.
            weight_decay: decoupled weight decay.
            warmup_steps: steps of linear warm-up.
            decay_fraction: last share of the planned steps, in which the rate falls linearly to zero; 0: constant.
            property_dropout: share of the molecules whose properties are all hidden, if the network reads any.
            init_from: bundled model, model folder or checkpoint whose weights the student starts from; the teacher's if
                not given. A small student can so have a large teacher.
            trust_classes: load a teacher that names classes from outside of moldiff, which can run any code.
            on_bad_batch: "stop" or "skip".
            seed: of steps and noise.
        """
        super().__init__(
            denoiser,
            processes,
            sampler,
            num_steps,
            lr,
            weight_decay,
            warmup_steps,
            decay_fraction,
            property_dropout=property_dropout,
            init_from=init_from or teacher,
            on_bad_batch=on_bad_batch,
            seed=seed,
        )
        for name, value, least in (
            ("num_steps", num_steps, 1),
            ("guidance_scale", guidance_scale, 0),
            ("avoid_clashes", avoid_clashes, 0),
        ):
            if not least <= value < math.inf:
                raise ValueError(f"{name} must be a number from {least} on: got {value}")
        if not isinstance(self.sampler, EulerSampler) or self.sampler.options.stochasticity:
            raise ValueError(
                f"a student is taught deterministic first-order steps: got {type(self.sampler).__name__}; give an "
                "EulerSampler with stochasticity 0"
            )
        self.teacher_path, self.teacher_steps, self.trust_classes = teacher, teacher_steps, trust_classes
        self.guidance_scale, self.avoid_clashes = guidance_scale, avoid_clashes
        self.underway: dict[int, Underway] = {}  # batches of molecules, by their place in the round
        self.turn = 0  # how many times one of them has been taken
        self.teacher: Model | None = None  # not a part of the network: checkpoints hold the student only

    def build(self, statistics: Statistics) -> None:
        """Make the network, if there is none, and calibrate the processes: by the teacher's data, once it is there."""
        super().build(statistics if self.teacher is None else self.teacher.statistics)

    def configure_model(self) -> None:
        """Lightning's hook: load the teacher, and build as it is."""
        if self._trainer is not None and self.teacher is None:
            self.teacher = read_model(find_model(self.teacher_path), self.trust_classes)
        super().configure_model()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the molecules that are underway, too."""
        super().on_save_checkpoint(checkpoint)
        underway = {place: here.to_dict() for place, here in self.underway.items()}
        checkpoint["underway"] = {"turn": self.turn, "times": self.sampler.grid(self.num_steps), "molecules": underway}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the molecules that were underway, if steps are as they were.

        Those of further devices are not kept, and set out anew.
        """
        super().on_load_checkpoint(checkpoint)
        known = checkpoint.get("underway")
        if self._trainer is None or self.global_rank or known is None:
            return
        if torch.equal(known["times"].cpu(), self.sampler.grid(self.num_steps)):
            self.turn = known["turn"]
            self.underway = {place: Underway.from_dict(here) for place, here in known["molecules"].items()}

    def on_fit_start(self) -> None:
        """Lightning's hook: move teacher and molecules to the device, and see that the teacher fits."""
        assert self.teacher is not None
        self.underway = {place: here.to(self.device) for place, here in self.underway.items()}
        self.teacher.denoiser.to(self.device).eval().requires_grad_(False)
        self.teacher.process.to(self.device)
        many = self.teacher_steps or self.teacher.num_steps
        if many <= self.num_steps:
            raise ValueError(
                f"the teacher must take more steps than the student: got {many} and {self.num_steps}; give a larger "
                "teacher_steps, or a smaller num_steps"
            )
        if not isinstance(self.process, JointProcess) or not _same_law(self.process, self.teacher.process, self.device):
            raise ValueError(
                f"the student must have the noise law of its teacher, in terms of molecules: got other processes than "
                f"those of {self.teacher_path}; take over the settings in its config.yaml"
            )
        asked = self.denoiser.properties or getattr(self.denoiser, "pocket_encoder", None) is not None
        if self.guidance_scale != 1 and not asked:
            raise ValueError(
                "only a teacher that reads properties or a pocket can be guided: got guidance_scale = "
                f"{self.guidance_scale:g}; leave it out"
            )
        encoder = getattr(self.denoiser, "pocket_encoder", None)
        if self.avoid_clashes and getattr(encoder, "level", None) != "atom":
            raise ValueError(
                f"avoid_clashes needs a network that sees the atoms of pockets: got {self.avoid_clashes:g} and one "
                "that sees none; leave it out"
            )

    def training_step(self, batch: MolBatch | ComplexBatch, batch_idx: int) -> Tensor:
        """One step of the student on molecules that are underway; where they have arrived, new ones set out."""
        noise = self.noise_of_step(batch_idx)
        place = self._place()
        if place not in self.underway:
            clean, pocket = own_frame(batch)
            assert self.statistics is not None
            if fault := fault_of_data(clean, self.statistics.vocabulary):
                return self.without(fault)
            properties = self.properties_of(clean)
            if properties is not None:
                properties = hidden(properties, noise, self.property_dropout)
            first = self.turn < UNDERWAY * self.num_steps
            head_start = place % self.num_steps if first else 0  # so that they are at all steps, from the start on
            self.underway[place] = self.set_out(clean.mask, noise, head_start, pocket, properties)
        here = self.underway.pop(place)
        losses, then = self.taught(here, noise)
        self.turn += 1
        loss = self.logged(losses, here.batch.replace(atom_types=None), len(here.batch))  # they are only numbers yet
        if then is not None and not self.bad_batches.bad:
            self.underway[place] = then
        return loss

    def _place(self) -> int:
        """Of the molecules whose turn it is: each once in a round, in an order of its own."""
        count = UNDERWAY * self.num_steps
        rounds, place = divmod(self.turn, count)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + rounds)
        return int(torch.randperm(count, generator=generator)[place])

    def set_out(
        self,
        mask: Bool[Tensor, "B N"],
        noise: Noise,
        stage: int = 0,
        pocket: PocketBatch | None = None,
        properties: Float[Tensor, "B C"] | None = None,
    ) -> Underway:
        """Molecules of the sizes that the mask tells, after some steps of the student from pure noise.

        Args:
            mask: which atoms exist.
            noise: of the start and of the steps.
            stage: how many steps.
            pocket: around each molecule, in the frame of `own_frame`; none if not given.
            properties: that are asked for; none if not given.
        """
        law, times = self._guided(self.process, pocket), self.sampler.grid(self.num_steps).to(mask.device)
        with torch.no_grad():
            context = self.denoiser.prepare(Context(pocket=pocket, properties=properties))
            start = law.prior(mask, noise)
            if stage == 0:
                return Underway(start, 0, None, pocket, properties)
            state = self.sampler.walk(self.denoiser, law, start, times[: stage + 1], noise, context)
        return Underway(state.batch, stage, state.previous, pocket, properties)

    def taught(self, here: Underway, noise: Noise) -> tuple[dict[str, Float[Tensor, " B"]], Underway | None]:
        """Loss of each field and molecule against what the teacher makes of them, and the molecules a step further.

        Args:
            here: molecules that the student draws.
            noise: of the teacher's steps and of the student's.
        """
        asked = Context(previous=here.previous, pocket=here.pocket, properties=here.properties)
        times = self.sampler.grid(self.num_steps).to(self.device)[here.stage : here.stage + 2]
        assert self.teacher is not None
        law, its_law = (self._guided(process, here.pocket) for process in (self.process, self.teacher.process))
        with torch.no_grad():
            aim = self._aim(here.batch, asked, times, its_law, noise)
        t, s = (_rows(time, here.batch) for time in times)
        output = self.denoiser(here.batch, t, self.denoiser.prepare(asked))
        losses = self.process.loss(output, aim, centre(here.batch), t)  # the network's answers are centred
        if times[1] == 0:
            return losses, None
        with torch.no_grad():
            answer = Prediction(**{name: value.detach() for name, value in output.present().items()})
            estimate = law.estimate(here.batch, answer, t)
            batch = law.step(here.batch, estimate, t, s, noise, self.sampler.options)
        return losses, replace(here, batch=batch, stage=here.stage + 1, previous=estimate)

    def _aim(
        self, noisy: MolBatch, context: Context, ends: Float[Tensor, "2"], law: MoleculeProcess, noise: Noise
    ) -> MolBatch:
        """The estimate with which one step from the first to the second time does what the teacher's steps do."""
        assert self.teacher is not None
        assert isinstance(self.process, JointProcess)
        sampler, network = self.teacher.sampler, self.teacher.denoiser
        if self.guidance_scale != 1:
            network = GuidedDenoiser(network, self.guidance_scale)
        grid = sampler.grid(self.teacher_steps or self.teacher.num_steps).to(ends)
        t, s = ends
        inside = grid[(grid < t) & (grid > s)]
        times = torch.cat([t[None], inside, s[None] if s > 0 else s.new_empty(0)])
        state = sampler.walk(network, law, noisy, times, noise, network.prepare(context))
        reached, then = state.batch, _rows(s, noisy)
        if s == 0:  # the last estimate is what the teacher ends with
            reached = law.step(reached, state.estimate, _rows(times[-1], noisy), then, noise, sampler.options)
        return self.process.aim(centre(noisy), centre(reached), state.estimate, _rows(t, noisy), then)

    def _guided(self, law: MoleculeProcess, pocket: PocketBatch | None) -> MoleculeProcess:
        """The noise law, whose estimates are pushed out of the pockets if that is asked for."""
        if pocket is None or not self.avoid_clashes:
            return law
        assert self.statistics is not None
        clashes = PocketClashes(pocket, self.statistics.vocabulary, self.avoid_clashes)
        return GuidedProcess(PlacedProcess(law), [clashes], centre=torch.zeros(3))  # in the frame of `own_frame`


def _same_law(first: JointProcess, second: object, device: torch.device) -> bool:
    """Whether two noise laws have the same fields, and give the same noise at the same times."""
    if not isinstance(second, JointProcess) or first.processes.keys() != second.processes.keys():
        return False
    mask, t = torch.ones(8, 64, dtype=torch.bool, device=device), torch.linspace(0.1, 1, 8, device=device)
    classes, found = torch.zeros_like(mask, dtype=torch.int64), []
    for law in (first, second):
        noise, parts = MoleculeNoise(0, torch.arange(8, device=device)), dict[str, Any](law.processes.items())
        noisy = [part.corrupt(classes, t, mask, noise) for name, part in parts.items() if name != "pos"]
        found.append([law.signal(t), parts["pos"].prior(mask, noise), *noisy])
    return all(torch.equal(mine, its) for mine, its in zip(*found, strict=True))


def _rows(t: Float[Tensor, ""], batch: MolBatch) -> Float[Tensor, " B"]:
    """One time as a time per molecule."""
    return t.expand(len(batch))
