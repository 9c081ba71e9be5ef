"""Configuration given on the command line, and how it goes over an app's defaults."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from umbel.bundle.flat import Config, Scalar, check_scalar, flatten
from umbel.bundle.nearest import did_you_mean
from umbel.errors import ConfigError, UnknownConfigKey, UsageError

_PAIR = re.compile(
    r"""\s*(?P<key>[A-Za-z0-9_.-]+)\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'=#]+)(?=\s|$)""", re.ASCII
)
_PAIRS_HINT = """Write pairs as 'lr=0.1 name="fedavg"': spaces between pairs, quotes around strings."""


def parse_run_config(values: list[str]) -> Config:
    """The overrides in the values of `--run-config`: pairs such as `'k1=v1 k2="v 2"'`, or the path of one .toml file.

    A key given twice has its last value. Raises UsageError if the values are neither, or a mixture, and ConfigError if
    the file cannot be used.
    """
    files = [value for value in values if _is_file(value)]
    if not files:
        return parse_pairs(values)
    if len(values) > 1:
        message = f"{files[0]} cannot be combined with other values: give one .toml file, or pairs."
        raise UsageError(message, hint="Write the pairs into the file, or leave the file out.")
    return _read_file(Path(files[0].strip()))


def parse_pairs(values: list[str]) -> Config:
    """The configuration in pairs `key=value`, with TOML's scalars as values; a key given twice has its last value.

    Raises UsageError for what is not a pair.
    """
    return {key: value for text in values for key, value in _pairs(text)}


def merge_config(defaults: Mapping[str, Scalar], overrides: Mapping[str, Scalar]) -> Config:
    """`defaults` with the `overrides` in their places, in the order of the defaults.

    An int is taken where a float is declared. Raises UnknownConfigKey, with the nearest keys, for a key that is not in
    `defaults` and ConfigError for a value of another type.
    """
    if unknown := [key for key in overrides if key not in defaults]:
        listed = ", ".join(f"`{key}`" for key in unknown)
        declares = "does not declare this key" if len(unknown) == 1 else "does not declare these keys"
        hint = " ".join(did_you_mean(key, defaults) for key in unknown)
        raise UnknownConfigKey(f"The app {declares}: {listed}.", hint=hint)
    return {key: _fitting(key, default, overrides.get(key, default)) for key, default in defaults.items()}


def _is_file(value: str) -> bool:
    name = value.strip()
    return name.endswith(".toml") and ("=" not in name or Path(name).is_file())


def _read_file(path: Path) -> Config:
    try:
        return flatten(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.", hint="Check the path.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", hint="Mend that line.") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", hint=error.hint) from None


def _pairs(text: str) -> list[tuple[str, Scalar]]:
    found = []
    position = 0
    while text[position:].strip():
        match = _PAIR.match(text, position)
        if match is None:
            raise UsageError(f"`{text[position:].strip()}` is not a pair key=value.", hint=_PAIRS_HINT)
        found.append((match["key"], _scalar(match["key"], match["value"])))
        position = match.end()
    return found


def _scalar(key: str, raw: str) -> Scalar:
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
        return check_scalar(key, value)
    except tomllib.TOMLDecodeError:
        raise UsageError(f"`{key}={raw}`: {raw} is not a value.", hint=_meant(key, raw)) from None
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from None


def _meant(key: str, raw: str) -> str:
    if raw.lower() in ("true", "false"):
        return f"Write {key}={raw.lower()}."
    if raw[0] in "\"'":
        return "Within double quotes a backslash begins an escape: double it, or use single quotes."
    return f"Is it a string? Quote it, for the shell too: '{key}=\"{raw}\"'."


def _fitting(key: str, default: Scalar, value: Scalar) -> Scalar:
    """`value` in the type of `default`."""
    if type(value) is type(default):
        return value
    if type(default) is float and type(value) is int:
        return float(value)
    wanted, given = type(default).__name__, type(value).__name__
    raise ConfigError(
        f"`{key}` is declared as {wanted} (default {default!r}), and {value!r} is {given}.",
        hint=f"Give a value of type {wanted}, or change the default in the app's pyproject.toml.",
    )
