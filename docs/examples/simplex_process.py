"""A noise law for classes: a straight line from the true class to a random point of the probability simplex."""

import torch
import torch.nn.functional as F
from torch import Tensor

from moldiff.data.statistics import Statistics
from moldiff.diffusion import LinearSchedule, Noise, NoiseSchedule, Process, StepOptions
from moldiff.diffusion.process import expand, masked_mean


class SimplexProcess(Process):
    """x_t = alpha x_0 + (1 - alpha) u: x_0 is one-hot, u uniform on the simplex (Stark 2024, linear flow matching).

    The network's output are logits of the true class; the loss is their cross-entropy, and a step follows the line
    from the class probabilities through x_t.
    """

    def __init__(self, schedule: NoiseSchedule | None = None, weight: float = 1.0) -> None:
        """`schedule`: linear if not given; only its alpha is used. `weight`: of the loss."""
        super().__init__()
        self.schedule, self.weight, self.num_classes = schedule or LinearSchedule(), weight, 0

    def calibrate(self, field: str, statistics: Statistics) -> None:
        """The number of classes is that of the training data."""
        self.num_classes = len(getattr(statistics, field))

    def prior(self, mask: Tensor, noise: Noise) -> Tensor:
        """Points u: exponential numbers, divided by their sum, are uniform on the simplex."""
        numbers = -noise.uniform(torch.empty(*mask.shape, self.num_classes, device=mask.device)).log()
        return numbers / numbers.sum(-1, keepdim=True) * mask[..., None]

    def corrupt(self, clean: Tensor, t: Tensor, mask: Tensor, noise: Noise) -> Tensor:
        """Class indices (B, L) to points (B, L, K) of the lines."""
        u = self.prior(mask, noise)
        x0 = F.one_hot(clean, self.num_classes).to(u) * mask[..., None]
        alpha = expand(self.schedule(t).alpha, u)
        return alpha * x0 + (1 - alpha) * u

    def estimate(self, noisy: Tensor, output: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        """Logits to class probabilities."""
        return output.softmax(-1)

    def step(
        self, noisy: Tensor, estimate: Tensor, t: Tensor, s: Tensor, mask: Tensor, noise: Noise, options: StepOptions
    ) -> Tensor:
        """From t to s along the line: the share of u falls from 1 - alpha(t) to 1 - alpha(s)."""
        left_t, left_s = 1 - self.schedule(t).alpha, 1 - self.schedule(s).alpha
        ratio = expand(torch.where(s < t, left_s / left_t.clamp(min=1e-12), 1.0), noisy)
        return (ratio * noisy + (1 - ratio) * estimate) * mask[..., None]

    def decode(self, estimate: Tensor) -> Tensor:
        """The likeliest class."""
        return estimate.argmax(-1)

    def encode(self, clean: Tensor) -> Tensor:
        """Class indices as probabilities: what `decode` turns back."""
        return F.one_hot(clean, self.num_classes).to(torch.get_default_dtype())

    def loss(self, output: Tensor, clean: Tensor, noisy: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        """Cross-entropy, averaged over the entries of each molecule."""
        return self.weight * masked_mean(F.cross_entropy(output.transpose(1, 2), clean, reduction="none"), mask)
