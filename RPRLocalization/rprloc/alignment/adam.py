"""Adam for one tensor: the steps of ``torch.optim.Adam``, which imports a compiler first (2 s)."""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-8


class Adam:
    """Moves a tensor down its gradient (Kingma and Ba, 2015).

    Args:
        parameters: a leaf with ``requires_grad``.
        betas: decay of the running mean of the gradient, and of its square.
    """

    def __init__(self, parameters: Tensor, betas: tuple[float, float]) -> None:
        self._parameters = parameters
        self._betas = betas
        self._mean = torch.zeros_like(parameters, requires_grad=False)
        self._square = torch.zeros_like(parameters, requires_grad=False)
        self._steps = 0

    @torch.no_grad()
    def step(self, loss: Tensor, rate: float) -> None:
        """One step of the learning rate ``rate`` down the gradient of ``loss``."""
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(loss, self._parameters)
        self._steps += 1
        first, second = self._betas
        self._mean.lerp_(gradient, 1.0 - first)
        self._square.mul_(second).addcmul_(gradient, gradient, value=1.0 - second)
        root = self._square.sqrt() / (1.0 - second**self._steps) ** 0.5
        size = rate / (1.0 - first**self._steps)
        self._parameters.addcdiv_(self._mean, root.add_(_EPSILON), value=-size)
