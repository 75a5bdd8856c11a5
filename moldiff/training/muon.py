"""One optimizer that holds two: Muon for hidden matrices, AdamW for the rest."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer


class StackedMuon(Muon):
    """torch's Muon with `adjust_lr_fn="match_rms_adamw"`; matrices of one shape are orthogonalised together."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Any:  # type: ignore[override]
        """Update all parameters that have gradients."""
        loss = _loss_of(closure)
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append(parameter)
            for shape, parameters in shapes.items():
                self._update(parameters, group, 0.2 * math.sqrt(max(shape)) * group["lr"])
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any], rate: float) -> None:
        """One step of matrices of the same shape; `rate`: learning rate times the factor that matches AdamW's."""
        gradients: list[Tensor] = [p.grad for p in parameters]  # type: ignore[misc]
        for p, gradient in zip(parameters, gradients, strict=True):
            if not self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(gradient, memory_format=torch.preserve_format)
        moments = [self.state[p]["momentum_buffer"] for p in parameters]
        torch._foreach_lerp_(moments, gradients, 1 - group["momentum"])
        nesterov = torch._foreach_lerp(gradients, moments, group["momentum"]) if group["nesterov"] else moments
        updates = orthogonalised(torch.stack(list(nesterov)), group["ns_coefficients"], group["ns_steps"], group["eps"])
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(updates.to(parameters[0].dtype).unbind()), alpha=-rate)


def _loss_of(closure: Callable[[], Tensor] | None) -> Tensor | None:
    """What a closure given to an optimizer computes, gradients included."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def orthogonalised(
    matrices: Float[Tensor, "L A B"], coefficients: tuple[float, float, float], steps: int, epsilon: float
) -> Float[Tensor, "L A B"]:
    """Matrices with singular values near one, by Newton-Schulz iterations in bfloat16 (Jordan 2024)."""
    a, b, c = coefficients
    x = matrices.bfloat16()
    wide = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2).contiguous() if wide else x
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=epsilon)
    for _ in range(steps):
        gram = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if wide else x


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
                StackedMuon(hidden, lr=lr, weight_decay=weight_decay, momentum=momentum, adjust_lr_fn="match_rms_adamw")
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
        loss = _loss_of(closure)
        for part in self.parts:
            part.step()
            self.state.update(part.state)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the states of both parts, but not the weight decay: that is as the parts were made."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            decays = [group["weight_decay"] for group in part.param_groups]
            part.load_state_dict(state)
            for group, decay in zip(part.param_groups, decays, strict=True):
                group["weight_decay"] = decay
        self._share()
