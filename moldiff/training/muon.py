"""One optimizer that holds two: Muon for hidden matrices, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer


class MuonAdamW(Optimizer):
    """Muon (Jordan 2024) on the 2-D weights of the hidden blocks, AdamW (Loshchilov 2019) on everything else.

    Both see the same schedule through `param_groups`; Muon's update is scaled to the size of AdamW's (Liu 2025), so one
    learning rate serves both. Behaves as a single optimizer for clipping, accumulation, averaging, schedules and
    checkpoints.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, nn.Parameter]],
        lr: float = 2e-3,
        adamw_lr: float | None = None,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.0,
    ) -> None:
        """`lr`: of Muon, for matrices in modules named `blocks`; `adamw_lr`: of the rest, half of it if None."""
        hidden: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, parameter in named_parameters:
            if parameter.requires_grad:
                (hidden if parameter.dim() == 2 and "blocks." in name else rest).append(parameter)
        if not hidden and not rest:
            raise ValueError(
                "no parameters to train: got an empty list; check that the model has weights that require gradients"
            )
        self.parts: list[Optimizer] = []
        if hidden:
            self.parts.append(
                Muon(hidden, lr=lr, weight_decay=weight_decay, momentum=momentum, adjust_lr_fn="match_rms_adamw")
            )
        if rest:
            self.parts.append(
                AdamW(rest, lr=lr / 2 if adamw_lr is None else adamw_lr, betas=betas, weight_decay=weight_decay)
            )
        super().__init__([p for part in self.parts for p in part.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Show the parts' own groups and states, so that a schedule changes what the parts read."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]
        self.state = {k: v for part in self.parts for k, v in part.state.items()}  # type: ignore[assignment]

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Any:  # type: ignore[override]
        """Update all parameters; `closure` computes the loss and gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
            self.state.update(part.state)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the states of both parts."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share()
