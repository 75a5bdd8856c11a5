"""What molecules are asked to be, and how network, noise law and sampler are dressed for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TypedDict

import torch
from jaxtyping import Float, Int
from torch import Tensor

from moldiff.diffusion.categorical import CategoricalProcess
from moldiff.diffusion.classifier_free import GuidedDenoiser
from moldiff.diffusion.fixed import FixedAtoms
from moldiff.diffusion.formula import FormulaProcess, read_formula
from moldiff.diffusion.guidance import Guide, GuidedProcess
from moldiff.diffusion.guides import PocketClashes
from moldiff.diffusion.inpainting import FixedProcess
from moldiff.diffusion.latent import LatentProcess
from moldiff.diffusion.model import Model
from moldiff.diffusion.placement import PlacedProcess
from moldiff.diffusion.properties import Asked, target_of, targets
from moldiff.diffusion.sampler import MoleculeProcess, Sampler
from moldiff.diffusion.site import AROUND_CENTRE, Site
from moldiff.diffusion.steering import PROPERTIES, Steering
from moldiff.models.denoiser import FIELDS, Context, Denoiser, EncodedProperties

_MADE_BY: dict[str, tuple[type, str]] = {
    "site": (Site, "MoleculeGenerator.site"),
    "fixed": (FixedAtoms, "MoleculeGenerator.fixed"),
    "steering": (Steering, "Steering(...)"),
}


class Conditions(TypedDict, total=False):
    """Conditions of a call of `sample`; each may be left out, and they combine.

    site: where in a protein pocket molecules are built (see `MoleculeGenerator.site`), for models that know pockets.
    fixed: atoms that all molecules hold (see `MoleculeGenerator.fixed`): their first atoms. In a pocket they keep their
        place, and the site's centre only tells which residues are near.
    formula: how many atoms of each element molecules have: "C7H10O2"; of models without hydrogens, of heavy ones.
    properties: what molecules are asked to have, for models that read properties: `{"gap": 5.0}`, or a sequence with a
        value for each molecule; in the units of the data (QM9: eV, Bohr^3, D, cal/mol/K).
    guidance_scale: how far conditions (properties, site) are followed: 1 as trained, 0 not at all, more than 1 closer
        than in training, at twice the cost (see `GuidedDenoiser`).
    guides: energies of the clean molecule whose gradients pull at it (see `Guide`), such as `RadiusOfGyration(3.0)`.
    avoid_clashes: scale of the guide `PocketClashes` for the atoms of the site; 1 if there is a site; 0: without it.
    steering: a function of molecules that shall be large (see `Steering`).
    """

    site: Site | None
    fixed: FixedAtoms | None
    formula: str | None
    properties: Asked | None
    guidance_scale: float
    guides: Sequence[Guide] | None
    avoid_clashes: float | None
    steering: Steering | None


@dataclass(frozen=True)
class Dressed:
    """The parts of a model as a sampler takes them under some conditions."""

    denoiser: Denoiser
    process: MoleculeProcess
    sampler: Sampler
    context: Context
    in_rounds: bool = False  # whether those that do not come out whole, with what is given, are drawn further

    def context_of(self, molecules: Int[Tensor, " B"]) -> Context:
        """What the network knows of some of the molecules."""
        asked = self.context.properties
        if not isinstance(asked, EncodedProperties):
            return self.context
        return replace(self.context, properties=asked.take(molecules))


@torch.inference_mode()
def dress(model: Model, conditions: Conditions, num_samples: int = 1) -> Dressed:
    """Prepare a model for some conditions; what does not change from batch to batch is computed here.

    `num_samples`: molecules that may have properties of their own.

    Raises:
        TypeError: if there is no such condition, or it is of another kind.
        ValueError: if the model cannot fulfil a condition.
    """
    _check_kinds(conditions)
    site, fixed = conditions.get("site"), conditions.get("fixed")
    process: MoleculeProcess = model.process
    guides = [*_own_guides(conditions), *_clash_guide(model, conditions)]
    device = model.device
    if isinstance(model.process, LatentProcess):
        if guides or fixed is not None or site is not None:
            raise ValueError(
                "guides, fixed atoms and pockets need a model whose estimates are molecules: got one of latents; ask "
                "for properties or a reward, or take another model"
            )
    elif fixed is not None:
        if model.process.processes.keys() != set(FIELDS):
            got = ", ".join(model.process.processes)
            raise ValueError(f"fixed atoms need a model of {', '.join(FIELDS)}: got {got}")
        if site is not None:
            _check_place(fixed, site)
        shift = torch.zeros(3) if site is None else -site.centre
        process = FixedProcess(model.process, fixed.moved(shift, device), in_place=site is not None)
    elif site is not None or conditions.get("formula") is not None:  # rounds noise molecules that are not centred
        process = PlacedProcess(model.process)
    if guides:
        centre = None if site is None else site.centre.to(device)
        process = GuidedProcess(process, guides, centre, 0 if fixed is None else len(fixed))
    counts = counts_of(model, conditions)
    if counts is not None:
        new = counts - held_by(fixed, len(counts))
        process = FormulaProcess(process, new.to(device), 0 if fixed is None else len(fixed))
    denoiser, context = _conditioned(model, conditions, num_samples)
    _check_regressor(model, conditions)
    return Dressed(denoiser, process, model.sampler, context, in_rounds=fixed is not None or counts is not None)


def _check_kinds(conditions: Conditions) -> None:
    """Whether conditions are known, and of the right kind: Python itself does not see to it."""
    known = Conditions.__annotations__
    for name, value in conditions.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected some of {', '.join(known)}"
            raise TypeError(f"got an unknown argument or condition {name!r}: {hint}")
        kind = _MADE_BY.get(name)
        if value is not None and kind is not None and not isinstance(value, kind[0]):
            raise TypeError(f"{name} must be what {kind[1]} gives: got {value!r}")


def _check_place(fixed: FixedAtoms, site: Site) -> None:
    """Whether fixed atoms are in the pocket: they keep their place."""
    gaps = torch.cdist(fixed.atoms.pos[0], torch.as_tensor(site.atoms.positions, dtype=torch.float32))
    if gaps.min() > AROUND_CENTRE:
        raise ValueError(
            f"the fixed atoms are {gaps.min():.1f} Å away from the pocket, and keep their place: give them in the "
            "frame of the protein"
        )


def counts_of(model: Model, conditions: Conditions) -> Int[Tensor, " K"] | None:
    """Atoms of each element of the vocabulary that molecules are asked to have; None: no formula is asked for.

    Raises:
        ValueError: if the model cannot have it.
    """
    formula, fixed, vocabulary = conditions.get("formula"), conditions.get("fixed"), model.statistics.vocabulary
    if formula is None:
        return None
    found = read_formula(formula, vocabulary)
    fields = {} if isinstance(model.process, LatentProcess) else dict(model.process.processes.items())
    if not isinstance(fields.get("atom_types"), CategoricalProcess):
        raise ValueError(
            f"got the formula {formula}: it needs a model whose elements are drawn as classes, such as qm9"
        )
    counts = torch.tensor([found.get(element, 0) for element in vocabulary.elements])
    held = held_by(fixed, len(counts))
    if (counts < held).any() or int(counts.sum()) == int(held.sum()):
        raise ValueError(f"got the formula {formula}: the fixed atoms have all or more of an element: add atoms")
    return counts


def held_by(fixed: FixedAtoms | None, num_elements: int) -> Int[Tensor, " K"]:
    """Atoms of each element that are fixed."""
    types = None if fixed is None else fixed.atoms.atom_types
    return torch.bincount(torch.zeros(0).long() if types is None else types.flatten().cpu(), minlength=num_elements)


def notes_of(conditions: Conditions, molecule: int) -> dict[str, str]:
    """What a molecule was asked to be, as it is written into its record."""
    asked = target_of(conditions.get("properties") or {}, molecule)
    notes = {f"moldiff_target_{name}": f"{value:g}" for name, value in asked.items()}
    if (formula := conditions.get("formula")) is not None:
        notes["moldiff_target_formula"] = formula
    scale = conditions.get("guidance_scale", 1.0)
    return notes if scale == 1 else {**notes, "moldiff_guidance_scale": f"{scale:g}"}


def _check_regressor(model: Model, conditions: Conditions) -> None:
    """Whether a reward that needs them has properties, and a regressor that knows them."""
    steering, asked = conditions.get("steering"), conditions.get("properties") or {}
    if steering is None or steering.reward != PROPERTIES:
        return
    known = () if model.regressor is None else model.regressor.network.properties
    unknown = [name for name in asked if name not in known]
    if not asked or unknown:
        raise ValueError(
            f"the reward {PROPERTIES!r} needs properties that the model's regressor predicts: got "
            f"{', '.join(asked) or 'none'}; expected some of {', '.join(known) or '(it has no regressor)'}, as with "
            "qm9_conditional (your own: export it with a regressor)"
        )


def _own_guides(conditions: Conditions) -> list[Guide]:
    guides = conditions.get("guides")
    found = list(guides or ()) if isinstance(guides, Iterable | None) else [None]
    if not all(callable(guide) for guide in found):
        raise TypeError(f"guides must be a list of functions: got {guides!r}")
    return found


def _clash_guide(model: Model, conditions: Conditions) -> list[Guide]:
    site, scale = conditions.get("site"), conditions.get("avoid_clashes")
    if scale is None:
        scale = 0.0 if site is None else 1.0
    if not scale:
        return []
    if site is None or not 0 < scale < math.inf:
        raise ValueError(
            f"avoid_clashes needs a pocket and a positive scale: got {scale}; give a site, and 1 to begin with"
        )
    return [PocketClashes(site.atoms, model.statistics.vocabulary, scale)]


def _conditioned(model: Model, conditions: Conditions, num_samples: int) -> tuple[Denoiser, Context]:
    """The network, guided if need be, and what it knows besides the noisy molecules."""
    site, properties = conditions.get("site"), conditions.get("properties") or {}
    scale = float(conditions.get("guidance_scale", 1.0))
    if not math.isfinite(scale) or scale < 0 or (scale != 1 and site is None and not properties):
        raise ValueError(
            f"guidance_scale must be a number from 0 on, and 1 without properties or a pocket to follow: got {scale:g}"
        )
    context = _context(model, site if scale else None)
    if properties:
        asked = targets(properties, model.denoiser.properties, model.statistics, num_samples)
        asked = asked.to(model.device)
        context = replace(context, properties=_encoded(model, asked) if scale else None)
    return model.denoiser if scale in (0, 1) else GuidedDenoiser(model.denoiser, scale), context


def _encoded(model: Model, asked: Float[Tensor, "A C"]) -> EncodedProperties:
    """Each row by itself: in a product of matrices it would be rounded as their number wants it."""
    parts = [model.denoiser.prepare(Context(properties=row)).properties for row in torch.split(asked, 1)]
    return EncodedProperties(torch.cat([part.vectors for part in parts if isinstance(part, EncodedProperties)]))


def _context(model: Model, site: Site | None) -> Context:
    """What the network knows besides the noisy molecules; the pocket is moved into their frame and encoded."""
    if site is None:
        return Context()
    device = model.device
    pocket = site.pocket.replace(pos=site.pocket.pos - site.centre).to(device)
    return model.denoiser.prepare(Context(pocket=pocket))
