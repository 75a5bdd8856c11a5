"""Root-mean-square normalisation in few passes over memory."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def rms_norm(x: Float[Tensor, "*S K"], epsilon: float = 1e-5) -> Float[Tensor, "*S K"]:
    """Divide by the root of the mean square along the last axis (Zhang 2019), without weights.

    Rows of bfloat16 are normalised in float32 and stay bfloat16.
    """
    out: Tensor = _RMSNorm.apply(x, epsilon)  # type: ignore[no-untyped-call]
    return out


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, epsilon: float) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        factor = torch.rsqrt(length.square() / x.shape[-1] + epsilon)
        out = (x * factor).to(x.dtype)
        ctx.save_for_backward(out, factor)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        out, factor = ctx.saved_tensors
        mean = (grad * out).mean(-1, keepdim=True, dtype=factor.dtype)
        return ((grad.to(factor.dtype) - out * mean) * factor).to(grad.dtype), None
