"""What molecules are asked to be, and how network, noise law and sampler are dressed for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch

from moldiff.diffusion.fixed import FixedAtoms
from moldiff.diffusion.guidance import Guide, GuidedProcess
from moldiff.diffusion.guides import PocketClashes
from moldiff.diffusion.inpainting import FixedProcess
from moldiff.diffusion.model import Model
from moldiff.diffusion.placement import PlacedProcess
from moldiff.diffusion.sampler import MoleculeProcess, Sampler
from moldiff.diffusion.site import Site
from moldiff.diffusion.steering import Steering
from moldiff.models.denoiser import FIELDS, Context, Denoiser


class Conditions(TypedDict, total=False):
    """Conditions of a call of `sample`; each may be left out, and they combine.

    site: where in a protein pocket molecules are built (see `MoleculeGenerator.site`), for models that know pockets.
    fixed: atoms that all molecules hold (see `MoleculeGenerator.fixed`): their first atoms. In a pocket they keep their
        place, and the site's centre only tells which residues are near.
    guides: energies of the clean molecule whose gradients pull at it (see `Guide`), such as `RadiusOfGyration(3.0)`.
    avoid_clashes: scale of the guide `PocketClashes` for the atoms of the site; 0, None: without it.
    steering: a function of molecules that shall be large (see `Steering`).
    """

    site: Site | None
    fixed: FixedAtoms | None
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
    around: bool = False  # whether molecules are drawn around fixed atoms, in rounds


@torch.inference_mode()
def dress(model: Model, conditions: Conditions) -> Dressed:
    """Prepare a model for some conditions; what does not change from batch to batch is computed here.

    Raises:
        ValueError: if the model cannot fulfil a condition.
    """
    site, fixed = conditions.get("site"), conditions.get("fixed")
    process: MoleculeProcess = model.process
    guides = [*(conditions.get("guides") or ()), *_clash_guide(model, conditions)]
    device = next(model.denoiser.parameters()).device
    if fixed is not None:
        if model.process.processes.keys() != set(FIELDS):
            got = ", ".join(model.process.processes)
            raise ValueError(f"fixed atoms need a model of {', '.join(FIELDS)}: got {got}")
        shift = torch.zeros(3) if site is None else -site.centre
        process = FixedProcess(model.process, fixed.moved(shift, device), in_place=site is not None)
    elif site is not None:
        process = PlacedProcess(model.process)
    if guides:
        centre = None if site is None else site.centre.to(device)
        process = GuidedProcess(process, guides, centre, 0 if fixed is None else len(fixed))
    return Dressed(model.denoiser, process, model.sampler, _context(model, site), fixed is not None)


def _clash_guide(model: Model, conditions: Conditions) -> list[Guide]:
    site, scale = conditions.get("site"), conditions.get("avoid_clashes")
    if not scale:
        return []
    if site is None or not 0 < scale < math.inf:
        raise ValueError(
            f"avoid_clashes needs a pocket and a positive scale: got {scale}; give a site, and 1 to begin with"
        )
    return [PocketClashes(site.atoms, model.statistics.vocabulary, scale)]


def _context(model: Model, site: Site | None) -> Context:
    """What the network knows besides the noisy molecules; the pocket is moved into their frame and encoded."""
    if site is None:
        return Context()
    device = next(model.denoiser.parameters()).device
    pocket = site.pocket.replace(pos=site.pocket.pos - site.centre).to(device)
    return model.denoiser.prepare(Context(pocket=pocket))
