"""From a trained model to molecules: sizes, noise, batches, sampler."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Unpack

import torch
from jaxtyping import Int
from rdkit import Chem
from torch import Tensor

from moldiff.chem.arrays import MoleculeArrays
from moldiff.chem.trajectory import Frame, Trajectory
from moldiff.chem.whole import whole_mol
from moldiff.data.batch import MolBatch
from moldiff.data.molecules import to_arrays
from moldiff.diffusion.alignment import Motion
from moldiff.diffusion.batch_size import default_batch_size
from moldiff.diffusion.conditions import Conditions, Dressed, counts_of, dress, notes_of
from moldiff.diffusion.formula import warn_if_odd
from moldiff.diffusion.latent import LatentProcess
from moldiff.diffusion.model import Model
from moldiff.diffusion.noise import MoleculeNoise
from moldiff.diffusion.part import ALL, Part
from moldiff.diffusion.properties import nearness, sizes_of, target_of
from moldiff.diffusion.rounds import sample_in_rounds
from moldiff.diffusion.sampler import Sampler, Start, State, Watch
from moldiff.diffusion.site import Site
from moldiff.diffusion.size_prior import SizePrior
from moldiff.diffusion.steering import PROPERTIES, Drawing, steer
from moldiff.models.denoiser import FIELDS, Context

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SampledBatch:
    """Some finished molecules and their indices among the requested ones."""

    indices: tuple[int, ...]
    molecules: tuple[MoleculeArrays, ...]
    notes: tuple[Mapping[str, str], ...]  # what is known of each besides, as it is written to files


def check_integers(**values: object) -> None:
    """Whether numbers are whole: a seed of 1.5 would do what 1 does.

    Raises:
        TypeError: if one is not.
    """
    for name, value in values.items():
        if not isinstance(value, Integral):
            raise TypeError(f"{name} must be an integer: got {value!r}")


def generate(
    model: Model,
    num_samples: int,
    seed: int = 0,
    num_steps: int | None = None,
    num_atoms: int | Sequence[int] | None = None,
    batch_size: int | None = None,
    bfloat16: bool = False,
    part: Part = ALL,
    **conditions: Unpack[Conditions],
) -> Iterator[SampledBatch]:
    """Draw molecules on the model's device and give each batch when it is finished.

    All molecules of a batch have the same size: nothing is computed for padding, and the arithmetic of a molecule,
    which would be rounded otherwise in a padded row, does not depend on its company.

    Molecule i depends on the model, the seed, the number of steps and i only. Arguments as in
    `MoleculeGenerator.sample`; `part`: which of the molecules are drawn. Molecules whose coordinates are no finite
    numbers, because the network gave such, are named in a warning and come with the others, which they do not disturb.
    """
    steps = model.num_steps if num_steps is None else num_steps
    batch_size = default_batch_size(model.device) if batch_size is None else batch_size
    check_integers(num_samples=num_samples, seed=seed, num_steps=steps, batch_size=batch_size)
    for name, value in (("num_samples", num_samples), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1: got {value}")
    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed must be an integer of 64 bits: got {seed}; choose a smaller one")
    if num_steps is not None and num_steps < 1:
        raise ValueError(f"num_steps must be at least 1: got {num_steps}; the model's default is {model.num_steps}")
    dressed, site = dress(model, conditions, num_samples), conditions.get("site")
    if (formula := conditions.get("formula")) is not None:
        warn_if_odd(formula, model.statistics.vocabulary)
    sizes = _sizes(model, num_samples, seed, num_atoms, conditions)
    _warn_of_sizes(model, sizes)
    steering = conditions.get("steering")
    groups = max(1, batch_size // (1 if steering is None else steering.particles))
    for chosen in part.of(_batches(sizes, groups)):
        size = int(sizes[chosen[0]])
        batch, notes = _denoise(model, size, chosen, seed, num_steps or model.num_steps, bfloat16, dressed, conditions)
        arrays = to_arrays(_placed(batch, site), model.statistics.vocabulary)
        broken = [
            i
            for i, finite in zip(chosen.tolist(), batch.pos.isfinite().flatten(1).all(1).tolist(), strict=True)
            if not finite
        ]
        if broken:
            shown = ", ".join(map(str, broken[:10])) + (f" and {len(broken) - 10} more" if len(broken) > 10 else "")
            _logger.warning("the network gave no finite numbers for molecule %s of seed %d", shown, seed)
        drawn = zip(chosen.tolist(), arrays, notes, strict=True)
        new = {i: (molecule, {**notes_of(conditions, i), **note}) for i, molecule, note in drawn if i not in part.done}
        yield SampledBatch(tuple(new), tuple(m for m, _ in new.values()), tuple(note for _, note in new.values()))


def trace(
    model: Model,
    index: int,
    seed: int = 0,
    num_steps: int | None = None,
    num_atoms: int | None = None,
    bfloat16: bool = False,
    **conditions: Unpack[Conditions],
) -> Trajectory:
    """Draw one of the molecules that `generate` draws, and keep its steps. Arguments as in `MoleculeGenerator.sample`.

    Raises:
        ValueError: if the molecule is steered: its way is not one.
    """
    check_integers(index=index, seed=seed, num_steps=model.num_steps if num_steps is None else num_steps)
    if index < 0:
        raise ValueError(f"index must be at least 0: got {index}")
    if conditions.get("steering") is not None:
        raise ValueError("a steered molecule has no single way from noise to data: leave out steering or trajectory")
    if (properties := conditions.get("properties")) is not None:
        for name, value in properties.items():
            if (count := torch.as_tensor(value).numel()) != 1 and count <= index:
                raise ValueError(f"{name} must be a number, or one for each molecule: got {count} for molecule {index}")
        conditions = {**conditions, "properties": target_of(properties, index)}
    dressed, site, fixed = dress(model, conditions, index + 1), conditions.get("site"), conditions.get("fixed")
    size = int(_sizes(model, index + 1, seed, num_atoms, conditions)[index])
    frames: list[Frame] = []

    def arrays(batch: MolBatch) -> MoleculeArrays:
        return to_arrays(_placed(batch, site), model.statistics.vocabulary)[0]

    def watch(state: State) -> None:
        clean = dressed.process.decode(state.estimate, state.batch.mask)
        noisy = _as_classes(state, clean, fixed is not None, isinstance(model.process, LatentProcess))
        frames.append(Frame(float(state.time), arrays(noisy), arrays(clean)))

    where, steps = torch.tensor([index]), num_steps or model.num_steps
    end = arrays(_denoise(model, size, where, seed, steps, bfloat16, dressed, conditions, watch)[0])
    return Trajectory((*frames, Frame(0.0, end, end)))


def _batches(sizes: Tensor, batch_size: int) -> list[Tensor]:
    """Indices of molecules of the same size, the largest first."""
    same = [(sizes == size).nonzero().flatten() for size in sorted(set(sizes.tolist()), reverse=True)]
    return [batch for indices in same for batch in torch.split(indices, batch_size)]


def _histogram(model: Model, site: Site | None, target: Mapping[str, float]) -> Mapping[int, float]:
    """How many atoms new molecules may have: as in the training data; in a pocket as ligands of similar ones."""
    in_pockets = model.statistics.pocket_sizes
    if site is not None and in_pockets is not None:
        return in_pockets.histogram(site.pocket.pos[site.pocket.mask], site.centre)
    return sizes_of(target, model.statistics)


def _warn_of_sizes(model: Model, sizes: Int[Tensor, " S"]) -> None:
    known = [n for n, count in model.statistics.sizes.items() if count]
    if known and not min(known) <= sizes.min() <= sizes.max() <= max(known):
        size = int(sizes.max() if sizes.max() > max(known) else sizes.min())
        _logger.warning(
            "%d atoms: molecules of the training data have %d to %d, so these will hardly be valid",
            *(size, min(known), max(known)),
        )


def _sizes(
    model: Model, num_samples: int, seed: int, num_atoms: int | Sequence[int] | None, conditions: Conditions
) -> Int[Tensor, " S"]:
    site, fixed, asked = conditions.get("site"), conditions.get("fixed"), conditions.get("properties") or {}
    num_fixed, counts = 0 if fixed is None else len(fixed), counts_of(model, conditions)
    if counts is not None:
        total = int(counts.sum())
        if num_atoms is not None and not torch.equal(torch.as_tensor(num_atoms), torch.tensor(total)):
            raise ValueError(f"got num_atoms {num_atoms}; the formula has {total} atoms: leave one of them out")
        num_atoms = total
    if num_atoms is None and site is not None:
        num_atoms = site.num_atoms
    if num_atoms is not None:
        sizes = torch.as_tensor(num_atoms).flatten()
        if len(sizes) not in (1, num_samples):
            raise ValueError(f"num_atoms must be a number, or {num_samples}, one for each molecule: got {len(sizes)}")
        check_integers(num_atoms=sizes[0].item())
        if sizes.min() < 1:
            raise ValueError(
                f"num_atoms must be at least 1: got {num_atoms}; leave it out to draw sizes from the training data"
            )
        if sizes.min() <= num_fixed:
            raise ValueError(
                f"molecules of {sizes.min()} atoms cannot hold {num_fixed} fixed ones and more: give a larger num_atoms"
            )
        return sizes.expand(num_samples)
    uniform = MoleculeNoise(seed, -1 - torch.arange(num_samples)).uniform(torch.empty(num_samples))  # own keys: < 0
    if all(isinstance(value, int | float) for value in asked.values()):
        return _prior(_histogram(model, site, target_of(asked, 0)), model, num_fixed)(uniform)
    histograms = (_histogram(model, site, target_of(asked, i)) for i in range(num_samples))
    return torch.cat([_prior(h, model, num_fixed)(u) for h, u in zip(histograms, torch.split(uniform, 1), strict=True)])


def _prior(sizes: Mapping[int, float], model: Model, num_fixed: int) -> SizePrior:
    """Sizes of molecules that hold the fixed atoms; if all that are likely are too small, others of the data."""
    histogram = {size: count for size, count in sizes.items() if size > num_fixed}
    histogram = histogram or {size: count for size, count in model.statistics.sizes.items() if size > num_fixed}
    if not histogram:
        raise ValueError(
            f"got {num_fixed} fixed atoms; the largest molecule that the model was trained on has {max(sizes)}: give "
            "num_atoms, or fix fewer atoms"
        )
    return SizePrior(histogram)


@torch.inference_mode()
def _denoise(
    model: Model,
    size: int,
    indices: Tensor,
    seed: int,
    num_steps: int,
    bfloat16: bool,
    dressed: Dressed,
    conditions: Conditions,
    watch: Watch | None = None,
) -> tuple[MolBatch, tuple[Mapping[str, str], ...]]:
    """Molecules of these indices, all of one size, and notes on them."""
    device, steering = model.device, conditions.get("steering")

    def read(batch: MolBatch) -> list[Chem.Mol | None]:
        arrays = to_arrays(_placed(batch, conditions.get("site")), model.statistics.vocabulary)
        return [whole_mol(a, model.statistics.vocabulary.hydrogens) for a in arrays]

    def is_done(batch: MolBatch) -> Tensor:
        return torch.tensor([mol is not None for mol in read(batch)], device=device)

    def draw(sampler: Sampler, num_steps: int, noise: MoleculeNoise, start: Start | None = None) -> MolBatch:
        mask = torch.ones(len(noise.key), size, dtype=torch.bool, device=device)
        repeats = len(noise.key) // len(indices)  # particles of a molecule have its properties
        denoiser, process = dressed.denoiser, dressed.process
        molecules = indices.to(device).repeat_interleave(repeats)
        args = mask, num_steps, noise
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            if dressed.in_rounds and start is None:

                def context_of(rows: Tensor) -> Context:
                    return dressed.context_of(molecules[rows])

                return sample_in_rounds(sampler, denoiser, process, *args, context_of, is_done, watch)
            return sampler(denoiser, process, *args, dressed.context_of(molecules), start, watch)

    asked = _asked(conditions, indices)

    def near(batch: MolBatch) -> Tensor:
        assert model.regressor is not None
        repeats = len(batch) // len(indices)
        wanted = {name: values.repeat_interleave(repeats) for name, values in asked.items()}
        return nearness(model.regressor(batch), wanted, model.statistics)

    if steering is None:
        batch = draw(dressed.sampler, num_steps, MoleculeNoise(seed, indices.to(device)))
        return batch, _predicted(model, batch, asked)
    value = near if steering.reward == PROPERTIES else None
    drawing = Drawing(draw, read, dressed.process, dressed.sampler, num_steps, value)
    steered = steer(steering, drawing, seed, indices.to(device))
    notes = zip(_predicted(model, steered.batch, asked), steered.notes(), strict=True)
    return steered.batch, tuple({**predicted, **reward} for predicted, reward in notes)


def _asked(conditions: Conditions, indices: Tensor) -> dict[str, Tensor]:
    """Property -> what each of some molecules is asked to have."""
    targets = [target_of(conditions.get("properties") or {}, i) for i in indices.tolist()]
    return {name: torch.tensor([target[name] for target in targets], dtype=torch.float64) for name in targets[0]}


def _predicted(model: Model, batch: MolBatch, names: Iterable[str]) -> tuple[Mapping[str, str], ...]:
    """What the model's regressor says of molecules, if it has one and they are asked for properties."""
    if model.regressor is None or not (names := [name for name in names if name in model.regressor.network.properties]):
        return ({},) * len(batch)
    values = model.regressor(batch)
    rows = zip(*(values[name].tolist() for name in names), strict=True)
    return tuple({f"moldiff_predicted_{n}": f"{v:.4g}" for n, v in zip(names, row, strict=True)} for row in rows)


def _placed(batch: MolBatch, site: Site | None) -> MolBatch:
    """Molecules in the frame of their protein."""
    return batch if site is None else batch.replace(pos=batch.pos + site.centre.to(batch.pos))


def _as_classes(state: State, clean: MolBatch, moved: bool, latent: bool) -> MolBatch:
    """The noisy molecules of a state as classes; masked ones as in the clean estimate; `moved`: into its frame.

    Latents have no classes; their points are shown with those of the clean estimate.
    """
    batch = state.batch
    pos = Motion.onto(state.estimate.pos, clean.pos)(batch.pos) if moved else batch.pos
    if latent:
        return clean.replace(pos=pos)
    fields: dict[str, Tensor] = {}
    for name in FIELDS[1:]:
        noisy, found, estimate = getattr(batch, name), getattr(clean, name), getattr(state.estimate, name)
        if noisy is not None:
            tokens = noisy.argmax(-1) if noisy.is_floating_point() else noisy
            fields[name] = torch.where(tokens < estimate.shape[-1], tokens, found)
    return batch.replace(pos=pos, **fields)
