"""The proximal term of FedProx, for a client's own training loop.

FedProx (Li et al. 2018, arXiv 1812.06127) has client k minimise, instead of its loss F_k alone,

    h_k(w; w^t) = F_k(w) + μ/2 · ‖w - w^t‖²        so that        ∇h_k(w) = ∇F_k(w) + μ · (w - w^t)

where w^t are the arrays it was sent and μ is `proximal-mu` in the configuration. Add μ · (w - w^t) to the gradients before each
optimiser step; that costs no automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def add_proximal_gradient(
    gradients: Sequence[NDArray[Any]],
    weights: Sequence[NDArray[Any]],
    global_weights: Sequence[NDArray[Any]],
    mu: float,
) -> None:
    """Add μ · (w - w^t) to the `gradients`, in place. All three have the same shapes; `global_weights` are as received."""
    for gradient, weight, received in zip(gradients, weights, global_weights, strict=True):
        np.add(gradient, mu * (weight - received), out=gradient)


def add_proximal_gradient_torch(
    parameters: Iterable[torch.nn.Parameter], global_parameters: Iterable[torch.Tensor], mu: float
) -> None:
    """Add μ · (w - w^t) to the `.grad` of each parameter, between `loss.backward()` and `optimizer.step()`.

    `global_parameters` are detached copies of the parameters as received:

    >>> received = [parameter.detach().clone() for parameter in net.parameters()]
    """
    for parameter, received in zip(parameters, global_parameters, strict=True):
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach() - received, alpha=mu)
