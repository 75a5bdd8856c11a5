"""`moldiff evaluate-properties`: do molecules have the properties that they were asked to have?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from moldiff.chem.arrays import MoleculeArrays, to_mol
from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.table import MoleculeTable
from moldiff.diffusion.conditions import Conditions
from moldiff.diffusion.generate import SampledBatch, generate
from moldiff.diffusion.model import Model
from moldiff.diffusion.regressor import Regressor
from moldiff.diffusion.steering import PROPERTIES, Steering
from moldiff.metrics.strict import strict_verdict


@dataclass(frozen=True)
class TargetScores:
    """Mean absolute errors, property -> value in its unit, by the protocol of EDM (Hoogeboom 2022, section 5.2).

    A property at a time, targets are drawn from training molecules together with their sizes, molecules are made for
    them, and a regressor that was trained on other molecules says what they have.
    """

    num_samples: int  # molecules made for each property
    guidance_scale: float
    num_steps: int
    particles: int | None  # of populations that the model's own regressor steered; None: drawn as they come
    units: Mapping[str, str]
    regressor: Mapping[str, float]  # of the regressor on real molecules that it has not seen: the lower bound
    model: Mapping[str, float]  # of molecules made for a target
    atoms_only: Mapping[str, float]  # if nothing but the number of atoms were known: the median of its molecules
    random: Mapping[str, float]  # if nothing were known: another molecule's value
    valid: Mapping[str, float]  # share of the molecules that are valid (strict rule)
    unjudged: Mapping[str, int]  # molecules with broken coordinates, which are left out of the errors

    def __str__(self) -> str:
        """A table with a column for each property."""
        rows = {
            "regressor on real molecules": self.regressor,
            "this model": self.model,
            "number of atoms only": self.atoms_only,
            "random": self.random,
        }
        names = list(self.model)
        lines = [f"{'mean absolute error':28}" + "".join(f"{name:>12}" for name in names)]
        lines.append(f"{'':28}" + "".join(f"{self.units[name]:>12}" for name in names))
        lines += [f"{title:28}" + "".join(f"{row[name]:>12.4g}" for name in names) for title, row in rows.items()]
        lines.append(f"{'valid molecules (strict), %':28}" + "".join(f"{100 * self.valid[n]:>12.1f}" for n in names))
        what = f"{self.num_samples} molecules for each property, guidance scale {self.guidance_scale:g}"
        if self.particles is not None:
            what += f", steered with {self.particles} particles"
        return "\n".join([f"{what}, {self.num_steps} steps", *lines])


def score_properties(
    model: Model,
    judge: Regressor,
    train: MoleculeTable,
    test: MoleculeTable,
    num_samples: int,
    guidance_scale: float = 1.0,
    properties: Sequence[str] | None = None,
    seed: int = 0,
    num_steps: int | None = None,
    batch_size: int | None = None,
    bfloat16: bool = False,
    particles: int | None = None,
) -> TargetScores:
    """Make molecules for drawn targets and judge them.

    Args:
        model: one that was trained with properties.
        judge: a regressor, trained on other molecules than the model.
        train: molecules whose sizes and properties are the targets, those that the model was trained on.
        test: real molecules that neither has seen.
        num_samples: molecules for each property.
        guidance_scale: see `GuidedDenoiser`.
        properties: which ones; all that both know if None.
        seed: of targets, sizes and noise.
        num_steps: sampling steps; the model's default if None.
        batch_size: molecules that are denoised together; 128 if None, 512 on a GPU.
        bfloat16: whether the sampler's matrix products are.
        particles: of populations that the model's own regressor steers to the targets (see `Steering`); None: drawn as
            they come.

    Raises:
        ValueError: if there is no property that model, judge and data know.
    """
    both = [name for name in model.denoiser.properties if name in judge.network.properties and name in train.properties]
    names = list(properties) if properties is not None else both
    wrong = [name for name in names if name not in both]
    if wrong or not names:
        raise ValueError(
            f"model, regressor and data must share the properties: got {', '.join(wrong) or 'none in common'}; "
            f"expected some of {', '.join(both) or '(nothing)'}"
        )
    rows = torch.from_numpy(np.random.default_rng(seed).integers(len(train), size=num_samples))
    sizes, steps = train.sizes[rows], num_steps or model.num_steps
    steering = None if particles is None else Steering(PROPERTIES, particles)
    errors, valid, unjudged = {}, {}, {}
    for name in names:
        target = train.properties[name][rows]
        asked = {name: target.tolist()}
        conditions = Conditions(properties=asked, guidance_scale=guidance_scale, steering=steering)
        settings = (num_samples, seed, steps, sizes.tolist(), batch_size, bfloat16)
        batches = generate(model, *settings, **conditions)
        molecules = _gathered(tqdm(batches, f"molecules for {name}", unit=" batches"), num_samples)
        judged = judge.of_table(_table(molecules, judge.statistics.vocabulary))[name]
        known = judged.isfinite()
        errors[name] = float((judged - target)[known].abs().mean())
        unjudged[name] = int((~known).sum())
        hydrogens = model.statistics.vocabulary.hydrogens
        valid[name] = np.mean([strict_verdict(to_mol(m, hydrogens)).smiles is not None for m in molecules]).item()
    real = judge.of_table(test)
    other = rows[torch.from_numpy(np.random.default_rng(seed + 1).permutation(num_samples))]
    values = {name: train.properties[name] for name in names}
    return TargetScores(
        num_samples,
        guidance_scale,
        steps,
        particles,
        {name: model.statistics.properties[name].unit for name in names},
        {name: float((real[name] - test.properties[name]).abs().mean()) for name in names},
        errors,
        {name: float((_median_of_size(train, name)[rows] - values[name][rows]).abs().mean()) for name in names},
        {name: float((values[name][other] - values[name][rows]).abs().mean()) for name in names},
        valid,
        unjudged,
    )


def _gathered(batches: Iterable[SampledBatch], count: int) -> list[MoleculeArrays]:
    found: dict[int, MoleculeArrays] = {}
    for batch in batches:
        found |= dict(zip(batch.indices, batch.molecules, strict=True))
    return [found[i] for i in range(count)]


def _table(molecules: Sequence[MoleculeArrays], vocabulary: Vocabulary) -> MoleculeTable:
    """Molecules for the judge, which reads neither bonds nor charges."""
    return MoleculeTable.from_arrays([_bare(molecule) for molecule in molecules], vocabulary=vocabulary)


def _bare(molecule: MoleculeArrays) -> MoleculeArrays:
    n = len(molecule)
    no_bonds: NDArray[np.int8] = np.zeros(n * (n - 1) // 2, dtype=np.int8)
    return replace(molecule, charges=np.zeros(n, dtype=np.int64), bond_orders=no_bonds)


def _median_of_size(table: MoleculeTable, name: str) -> torch.Tensor:
    """For each molecule, the median of the molecules of its size."""
    values, out = table.properties[name], torch.empty(len(table), dtype=torch.float64)
    for size in set(table.sizes.tolist()):
        same = table.sizes == size
        out[same] = values[same].median()
    return out
