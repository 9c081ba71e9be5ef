"""The federation config that a person gives with a run, checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from umbel.bundle.nearest import did_you_mean
from umbel.errors import ConfigError, UnknownConfigKey
from umbel.wire.api import Config

Check = Callable[[Any], bool]


def _number(low: float, *, above: bool = False, high: float = math.inf) -> Check:
    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return (value > low if above else value >= low) and value <= high

    return check


def _whole(low: int, high: float = math.inf) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return check


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


_FEDERATION: dict[str, tuple[Check, str]] = {
    "num-supernodes": (_whole(1, 10_000_000), "a whole number from 1 to 10000000"),
    "client-resources-num-cpus": (_number(0, above=True), "a number above 0"),
    "client-resources-num-gpus": (_number(0), "a number of at least 0"),
    "backend": (lambda value: value in ("local", "inline"), "`local` or `inline`"),
    "max-workers": (_whole(1), "a whole number of at least 1"),
    "verbose": (_truth, "true or false"),
    "backend-name": (_text, "a text"),
    "init-args-num-cpus": (_number(0), "a number of at least 0"),
    "init-args-num-gpus": (_number(0), "a number of at least 0"),
    "init-args-logging-level": (_text, "a text"),
    "init-args-log-to-driver": (_truth, "true or false"),
}


def check(config: Config) -> Config:
    """The federation config with its keys in kebab-case.

    Raises UnknownConfigKey for an unknown key, ConfigError for a value out of range.
    """
    checked: Config = {}
    for given, value in config.items():
        key = _key(given)
        if key not in _FEDERATION:
            hint = did_you_mean(given, _FEDERATION)
            raise UnknownConfigKey(f"There is no federation-config key `{given}`.", hint=hint)
        fits, allowed = _FEDERATION[key]
        if not fits(value):
            raise ConfigError(f"The federation-config value {key} = {value!r} is not valid.", hint=f"It is {allowed}.")
        checked[key] = value
    return checked


def suggested(config: Config) -> Config:
    """The app's own suggestion for a federation, without the keys that are not known here."""
    return {key: value for key, value in config.items() if _key(key) in _FEDERATION}


def _key(given: str) -> str:
    return given.removeprefix("options.").replace("_", "-")
