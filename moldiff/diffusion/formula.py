"""Sampling of molecules that have a given formula: how many atoms of each element."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from rdkit import Chem
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch
from moldiff.diffusion.sampler import MoleculeProcess
from moldiff.diffusion.wrapped import WrappedProcess
from moldiff.models.denoiser import Prediction

OVERSHOOT = 3.0  # of 0, 1, 3 and 6, that with which most molecules of QM9's formulas are whole after the first pass
_ROUNDS = 50  # of fitting; the factors need not be exact, since the next step fits them anew
_MOST_ATOMS = 1000
_LEAST = 1e-6  # probability and count: nothing is ruled out

_logger = logging.getLogger(__name__)


def read_formula(text: str, vocabulary: Vocabulary) -> dict[str, int]:
    """Element -> how many, of a formula such as C7H10O2.

    Raises:
        ValueError: if it is no formula, or has an element that the model does not know.
    """
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", text)
    counts = Counter[str]()
    for element, number in parts:
        counts[element] += int(number or 1)
    if not text or "".join(element + number for element, number in parts) != text or not all(counts.values()):
        raise ValueError(f"got the formula {text!r}: expected elements and their numbers, such as C7H10O2")
    unknown = [element for element in counts if element not in vocabulary.elements]
    if unknown:
        hint = "" if vocabulary.hydrogens or "H" not in unknown else ", and hydrogens are added afterwards: leave out H"
        raise ValueError(f"got the formula {text}: the model knows {', '.join(vocabulary.elements)}{hint}")
    if sum(counts.values()) > _MOST_ATOMS:
        raise ValueError(f"got the formula {text}: expected at most {_MOST_ATOMS} atoms")
    return dict(counts)


def warn_if_odd(formula: str, vocabulary: Vocabulary) -> None:
    """Warn of a formula that no uncharged molecule without unpaired electrons has."""
    counts, table = read_formula(formula, vocabulary), Chem.GetPeriodicTable()
    least, most = (
        2 + sum(number * (valence(element) - 2) for element, number in counts.items())
        for valence in (table.GetDefaultValence, lambda element: max(table.GetValenceList(element)))
    )
    if vocabulary.hydrogens and (most < 0 or least % 2):
        _logger.warning("no uncharged molecule without unpaired electrons has the formula %s", formula)


class FormulaProcess(WrappedProcess):
    """A process in whose clean estimates the elements have given numbers; a sampler takes it in place of the process.

    The class probabilities of all atoms of a molecule are multiplied by one factor for each element, such that the
    expected numbers are those wanted (iterative proportional fitting, Deming & Stephan 1940), and go beyond them by
    `OVERSHOOT` times what the network's own numbers lack. In the end atoms get elements by the likeliest assignment
    that has exactly the formula.
    """

    def __init__(self, process: MoleculeProcess, counts: Int[Tensor, " K"], num_fixed: int = 0) -> None:
        """`counts`: atoms of each element, in the order of the vocabulary, besides the first `num_fixed` atoms."""
        super().__init__(process)
        self.counts, self.num_fixed = counts, num_fixed

    def estimate(self, noisy: MolBatch, output: Prediction, t: Float[Tensor, " B"]) -> Prediction:
        """The clean estimate, with about the wanted numbers of elements."""
        estimate = self.process.estimate(noisy, output, t)
        assert estimate.atom_types is not None
        probabilities = estimate.atom_types.float().clamp(min=0)
        fitted = fit_counts(probabilities, self.counts.to(probabilities), self._new(noisy.mask))
        return replace(estimate, atom_types=fitted.to(estimate.atom_types))

    def decode(self, estimate: Prediction, mask: Bool[Tensor, "B N"]) -> MolBatch:
        """The molecules, all of which have the formula.

        Raises:
            ValueError: if a molecule has another number of atoms.
        """
        assert estimate.atom_types is not None
        out, new = self.process.decode(estimate, mask), self._new(mask).cpu()
        assert out.atom_types is not None
        elements = torch.arange(len(self.counts)).repeat_interleave(self.counts.cpu())
        if (new.sum(1) != len(elements)).any():
            raise ValueError(f"the formula has {len(elements)} new atoms: got molecules of {new.sum(1).tolist()}")
        costs = -estimate.atom_types.float().clamp(min=1e-9).log().nan_to_num(0.0).cpu()
        types = out.atom_types.clone().cpu()
        for row, cost in enumerate(costs):
            atoms = new[row].nonzero().flatten()
            types[row, atoms] = elements[linear_sum_assignment(cost[atoms][:, elements].numpy())[1]]
        return out.replace(atom_types=types.to(mask.device))

    def _new(self, mask: Bool[Tensor, "B N"]) -> Bool[Tensor, "B N"]:
        return mask & (torch.arange(mask.shape[1], device=mask.device) >= self.num_fixed)


def fit_counts(
    probabilities: Float[Tensor, "B N K"], counts: Float[Tensor, " K"], mask: Bool[Tensor, "B N"]
) -> Float[Tensor, "B N K"]:
    """Class probabilities times a factor for each class and molecule that takes the expected numbers to `counts`.

    They are taken `OVERSHOOT` times as far again, since the network goes on from what has formed so far.
    """
    exists = mask[..., None].to(probabilities)
    p = probabilities.clamp(min=_LEAST)
    now = (p / p.sum(-1, keepdim=True) * exists).sum(1)
    wanted = (counts + OVERSHOOT * (counts - now)).clamp(min=_LEAST)
    wanted = wanted / wanted.sum(-1, keepdim=True) * exists.sum(1)
    factors = torch.ones_like(wanted)
    for _ in range(_ROUNDS):
        q = p * factors[:, None]
        found = (q / q.sum(-1, keepdim=True) * exists).sum(1)
        factors = factors * wanted / found.clamp(min=_LEAST)
        factors = factors / factors.amax(-1, keepdim=True)
    q = p * factors[:, None]
    fitted: Tensor = q / q.sum(-1, keepdim=True)
    return torch.where(mask[..., None], fitted, probabilities)
