"""The number of examples for property tests: few while one works, all in CI."""

from __future__ import annotations

import os

import hypothesis

SHARE = 1 if os.environ.get("UMBEL_EXAMPLES") == "all" else 4  # outside CI, one example in four is tried


def examples(number: int) -> int:
    """How many of `number` examples to try, for `hypothesis.settings(max_examples=…)`."""
    return max(number // SHARE, 5)


def load_profile() -> None:
    """Use the settings that all property tests share. A busy machine is no error: there is no deadline."""
    hypothesis.settings.register_profile(
        "umbel",
        deadline=None,
        max_examples=examples(60),
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("umbel")
