"""What molecules are asked to be, and how network, noise law and sampler are dressed for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch

from moldiff.diffusion.fixed import FixedAtoms
from moldiff.diffusion.inpainting import FixedProcess
from moldiff.diffusion.joint import JointProcess
from moldiff.diffusion.model import Model
from moldiff.diffusion.sampler import Sampler
from moldiff.diffusion.site import Site
from moldiff.diffusion.steering import Steering
from moldiff.models.denoiser import FIELDS, Context, Denoiser


class Conditions(TypedDict, total=False):
    """Conditions of a call of `sample`; each may be left out, and they combine.

    site: where in a protein pocket molecules are built (see `MoleculeGenerator.site`), for models that know pockets.
    fixed: atoms that all molecules hold (see `MoleculeGenerator.fixed`): their first atoms. In a pocket they keep their
        place, and the site's centre only tells which residues are near.
    steering: a function of molecules that shall be large.
    """

    site: Site | None
    fixed: FixedAtoms | None
    steering: Steering | None


@dataclass(frozen=True)
class Dressed:
    """The parts of a model as a sampler takes them under some conditions."""

    denoiser: Denoiser
    process: JointProcess | FixedProcess
    sampler: Sampler
    context: Context


@torch.inference_mode()
def dress(model: Model, conditions: Conditions) -> Dressed:
    """Prepare a model for some conditions; what does not change from batch to batch is computed here.

    Raises:
        ValueError: if the model cannot fulfil a condition.
    """
    site, fixed = conditions.get("site"), conditions.get("fixed")
    process: JointProcess | FixedProcess = model.process
    device = next(model.denoiser.parameters()).device
    if fixed is not None:
        if model.process.processes.keys() != set(FIELDS):
            got = ", ".join(model.process.processes)
            raise ValueError(f"fixed atoms need a model of {', '.join(FIELDS)}: got {got}")
        shift = torch.zeros(3) if site is None else -site.centre
        process = FixedProcess(model.process, fixed.moved(shift, device), in_place=site is not None)
    return Dressed(model.denoiser, process, model.sampler, _context(model, site))


def _context(model: Model, site: Site | None) -> Context:
    """What the network knows besides the noisy molecules; the pocket is moved into their frame and encoded."""
    if site is None:
        return Context()
    device = next(model.denoiser.parameters()).device
    pocket = site.pocket.replace(pos=site.pocket.pos - site.centre).to(device)
    return model.denoiser.prepare(Context(pocket=pocket))
