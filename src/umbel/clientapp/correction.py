"""Gradient corrections against client drift: one line in the training loop for FedProx, SCAFFOLD and FedDyn.

The strategy and the client's mod put what is needed into the message; the training loop adds it before each optimiser step:

    g ← g + d + μ (w - w^t)

where w^t are the arrays as they came, d is the record `control` (from `umbel.clientapp.scaffold` or `umbel.clientapp.feddyn`) and μ is
`proximal-mu` in the configuration; what is not in the message is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.records import is_inexact
from umbel.clientapp.drift import CONTROL, arrays_of, proximal_mu

if TYPE_CHECKING:
    import torch


class Correction:
    """The gradient correction of one round. Create it before training, because it copies the received arrays.

    Args:
        message: the train message.

    Raises:
        ValueError: the message does not contain exactly one ArrayRecord besides `control`.

    Example:
    >>> correction = Correction(message)
    >>> for x, y in batches:
    ...     gradients = loss_gradients(weights, x, y)
    ...     correction.add(gradients, weights)
    ...     weights = [w - learning_rate * g for w, g in zip(weights, gradients)]
    """

    def __init__(self, message: Message) -> None:
        """Copy the received arrays of a train message."""
        received = arrays_of(message.content)
        self._mu = proximal_mu(message.content) or 0.0
        pulled = {name: array for name, array in received.items() if self._mu and is_inexact(array)}
        self._received = {name: array.numpy().copy() for name, array in pulled.items()}
        self._control = message.content.array_records.get(CONTROL, ArrayRecord())
        self._names = list(received)

    def add(self, gradients: Sequence[NDArray[Any]], weights: Sequence[NDArray[Any]]) -> None:
        """Add the correction to `gradients`, in place. Gradients and weights have the order and the shapes of the message's arrays."""
        for name, gradient, weight in zip(self._names, gradients, weights, strict=True):
            if name in self._control:
                np.add(gradient, self._control[name].numpy(), out=gradient, casting="same_kind")
            if name in self._received:
                np.add(gradient, self._mu * (weight - self._received[name]), out=gradient, casting="same_kind")

    def add_torch(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> None:
        """Add the correction to the `.grad` of each parameter, between `loss.backward()` and `optimizer.step()`.

        >>> correction.add_torch(net.named_parameters())
        """
        import torch

        for name, parameter in named_parameters:
            if parameter.grad is None:
                continue
            if name in self._control:
                parameter.grad.add_(self._control[name].torch().to(parameter))
            if name in self._received:
                received = torch.from_numpy(self._received[name]).to(parameter)
                parameter.grad.add_(parameter.detach() - received, alpha=self._mu)
