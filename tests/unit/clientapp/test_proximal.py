"""The proximal term of FedProx on the client."""

from __future__ import annotations

import numpy as np
import pytest

from umbel.clientapp.proximal import add_proximal_gradient, add_proximal_gradient_torch


def test_by_hand() -> None:
    """∇F + μ (w - w^t) = 1 + 0.5 · (4 - 2) = 2, in place."""
    gradients = [np.array([1.0, 0.0]), np.array(3.0)]
    add_proximal_gradient(gradients, [np.array([4.0, 1.0]), np.array(1.0)], [np.array([2.0, 1.0]), np.array(2.0)], 0.5)
    assert [gradient.tolist() for gradient in gradients] == [[2.0, 0.0], 2.5]


def test_it_is_the_gradient_of_the_term() -> None:
    """It equals the numerical gradient of μ/2 ‖w - w^t‖²."""
    rng = np.random.default_rng(1)
    weights, received, mu, step = rng.normal(size=5), rng.normal(size=5), 0.3, 1e-6

    def term(at: np.ndarray) -> float:
        return mu / 2 * float(((at - received) ** 2).sum())

    gradient = np.zeros(5)
    add_proximal_gradient([gradient], [weights], [received], mu)
    numerical = [(term(weights + step * e) - term(weights - step * e)) / (2 * step) for e in np.eye(5)]
    assert gradient == pytest.approx(numerical, rel=1e-5)


def test_lists_of_different_lengths() -> None:
    """Something was forgotten: an error, not a part of the term."""
    with pytest.raises(ValueError, match="shorter"):
        add_proximal_gradient([np.zeros(1), np.zeros(1)], [np.zeros(1)], [np.zeros(1)], 1)


@pytest.mark.torch
def test_torch() -> None:
    """The same as adding the term to the loss and differentiating; parameters without a gradient are left alone."""
    import torch

    torch.manual_seed(0)
    net, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    received = [parameter.detach().clone() + 1 for parameter in net.parameters()]
    frozen = torch.nn.Parameter(torch.zeros(1))
    term = sum(0.4 / 2 * ((p - r) ** 2).sum() for p, r in zip(net.parameters(), received, strict=True))
    expected = torch.autograd.grad(net(x).sum() + term, list(net.parameters()))
    net(x).sum().backward()
    add_proximal_gradient_torch([*net.parameters(), frozen], [*received, torch.zeros(1)], 0.4)
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert parameter.grad is not None
        assert not parameter.grad.requires_grad
        torch.testing.assert_close(parameter.grad, gradient)
    assert frozen.grad is None
