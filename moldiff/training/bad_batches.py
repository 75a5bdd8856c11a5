"""Numbers that are not finite in training: which molecules they come from, and what is done about them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula
from torch import Tensor, nn

from moldiff.chem.vocabulary import Vocabulary
from moldiff.data.batch import MolBatch

OnBadBatch = Literal["stop", "skip"]
"""Stop the training with an error, or go on with the next batch."""

_logger = logging.getLogger(__name__)
_MOST = 20  # bad batches one after another, after which it makes no sense to go on


class BadBatches:
    """Stops the training at a batch that it cannot learn from, or lets it go on, but not for ever."""

    def __init__(self, action: OnBadBatch) -> None:
        """`action`: what is done.

        Raises:
            ValueError: if the action is unknown.
        """
        if action not in get_args(OnBadBatch):
            raise ValueError(f"on_bad_batch must be stop or skip: got {action!r}")
        self.action, self.in_a_row, self.bad = action, 0, False

    def handle(self, fault: str, step: int, weights: Iterable[tuple[str, nn.Parameter]]) -> None:
        """Deal with what is wrong with a batch.

        Raises:
            ValueError: if the training is to stop, the weights are spoilt, or too many batches in a row were bad.
        """
        self.in_a_row += not self.bad
        self.bad = True
        spoilt = [name for name, weight in weights if not weight.isfinite().all()]
        if spoilt:
            raise ValueError(
                f"step {step}: {fault}; the weights are no finite numbers any more ({listed(spoilt, 3)}): go on from "
                "an earlier checkpoint with a lower learning rate"
            )
        if self.action == "stop":
            raise ValueError(
                f"step {step}: {fault}: take such molecules out of the data, lower the learning rate if they are "
                "sound, or go on without such batches by --model.on_bad_batch skip"
            )
        if self.in_a_row >= _MOST:
            raise ValueError(f"step {step}: {fault}; so were the {_MOST - 1} batches before: check the data")
        _logger.warning("step %d: %s; the batch is skipped", step, fault)

    def next(self) -> None:
        """The next batch comes."""
        self.in_a_row, self.bad = self.in_a_row if self.bad else 0, False


def fault_of_data(clean: MolBatch, vocabulary: Vocabulary) -> str | None:
    """Which molecules have coordinates that are no finite numbers."""
    bad = ~clean.pos.isfinite().flatten(1).all(1)
    return f"the coordinates of {names(clean, bad, vocabulary)} are no finite numbers" if bad.any() else None


def fault_of_losses(losses: Mapping[str, Tensor], clean: MolBatch, vocabulary: Vocabulary) -> str:
    """Which molecules have losses (B,) that are no finite numbers, field by field."""
    bad = {field: ~loss.isfinite() for field, loss in losses.items()}
    parts = [f"{field} ({names(clean, rows, vocabulary)})" for field, rows in bad.items() if rows.any()]
    return f"the loss is no finite number for {', '.join(parts) or 'all molecules together'}"


def fault_of_gradients(weights: Iterable[tuple[str, nn.Parameter]]) -> str | None:
    """Which weights have gradients that are no finite numbers."""
    gradients = {name: weight.grad for name, weight in weights if weight.grad is not None}
    if not gradients or torch.nn.utils.get_total_norm(list(gradients.values())).isfinite():
        return None
    bad = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
    return f"the gradient is no finite number for {listed(bad or list(gradients), 3)}, though the losses are finite"


def names(batch: MolBatch, rows: Tensor, vocabulary: Vocabulary) -> str:
    """Molecules of a batch by their number in the data and their formula; `rows`: a mask (B,)."""
    found = []
    for row in rows.nonzero().flatten().tolist():
        number = f"at place {row} of the batch" if batch.index is None else str(int(batch.index[row]))
        found.append(f"molecule {number} ({_formula(batch, row, vocabulary)})")
    return listed(list(dict.fromkeys(found)), 5)


def listed(texts: list[str], most: int) -> str:
    """The first few of some texts, and how many more there are."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def _formula(batch: MolBatch, row: int, vocabulary: Vocabulary) -> str:
    """Such as C2H6O; without atom types, the number of atoms."""
    if batch.atom_types is None:
        return f"{int(batch.num_atoms[row])} atoms"
    mol = Chem.RWMol()
    for number in np.array(vocabulary.atomic_numbers)[batch.atom_types[row][batch.mask[row]].cpu().numpy()].tolist():
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    mol.UpdatePropertyCache(strict=False)
    return str(CalcMolFormula(mol))
