"""Client helper of FedNova: the normalised number of local steps.

metrics = MetricRecord({"num-examples": n, "local-steps": normalising_steps(steps, momentum=0.9)})
"""

from __future__ import annotations

from umbel.errors import ConfigError


def normalising_steps(steps: int, *, momentum: float = 0.0, shrinkage: float = 0.0) -> float:
    """‖a‖₁ of the paper (Wang et al. 2020, arXiv 2007.07481, section 4): by how many plain gradients `steps` optimiser steps move the model.

    - Plain SGD: `steps`.
    - SGD with `momentum` ρ in [0, 1) (no dampening, reset in each round): Σ_j (1 - ρ^j) / (1 - ρ), j = 1 … steps.
    - A proximal term μ with learning rate η, `shrinkage` = η μ in [0, 1): Σ_j (1 - η μ)^(j-1).

    Raises ConfigError for a value outside its range, and for both at once.
    """
    if steps < 1 or not 0 <= momentum < 1 or not 0 <= shrinkage < 1 or (momentum and shrinkage):
        raise ConfigError(
            f"No normaliser exists for steps={steps}, momentum={momentum}, shrinkage={shrinkage}.",
            hint="steps must be 1 or more; momentum and shrinkage in [0, 1), not both above 0.",
        )
    if shrinkage:
        return (1 - (1 - shrinkage) ** steps) / shrinkage
    return (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)
