"""Configuration of an app: declared keys, overrides, flattening."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from umbel.bundle.suggest import did_you_mean
from umbel.errors import ConfigError, UnknownConfigKey, UsageError

Scalar = bool | int | float | str
Config = dict[str, Scalar]

_INT_LIMIT = 2**63


def flatten(nested: Mapping[str, Any]) -> Config:
    """The flat form of `nested`, in its order.

    Values are bool, 64-bit int, finite float or str. Raises ConfigError for any other value and for a key that
    occurs twice (once nested, once quoted).
    """
    flat: Config = {}
    for key, value in _leaves(nested, ""):
        if key in flat:
            raise ConfigError(f"Duplicate key `{key}`.", hint="Keep one of the two.")
        flat[key] = value
    return flat


def unflatten(flat: Mapping[str, Scalar]) -> dict[str, Any]:
    """The nested form of `flat`. Raises ConfigError where one key is both a value and a table."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        table = nested
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise _value_and_table(key)
        if last in table:
            raise _value_and_table(key)
        table[last] = value
    return nested


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Scalar]]:
    for key, value in table.items():
        dotted = f"{prefix}{key}"
        if not key:
            raise ConfigError(f"Empty key in `{prefix or 'the table'}`.", hint="Give it a name.")
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{dotted}.")
        else:
            yield dotted, check_scalar(dotted, value)


def check_scalar(key: str, value: object) -> Scalar:
    """`value` if it may be a configuration value; ConfigError that names `key` otherwise."""
    if not isinstance(value, bool | int | float | str):
        kind = type(value).__name__
        raise ConfigError(
            f"`{key}` is a {kind}: a configuration value is a bool, an int, a float or a string.",
            hint='Write several values as one string, for example "10,20,30", and split it in the app.',
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"`{key}` is {value}: numbers must be finite.", hint='Use a string such as "inf" instead.')
    if isinstance(value, int) and not -_INT_LIMIT <= value < _INT_LIMIT:
        raise ConfigError(f"`{key}` does not fit in 64 bits.", hint="Use a string and convert it in the app.")
    return value


def _value_and_table(key: str) -> ConfigError:
    return ConfigError(f"`{key}` is both a value and a table.", hint="Rename one of them.")


Source = Literal["umbel", "flwr"]


@dataclass(frozen=True)
class AppConfig:
    """The validated description of an app.

    `serverapp` and `clientapp` are `"module:attribute"`, `config` holds the run config's defaults under flat dotted
    keys, `federation` the app's suggestion for a simulation (for example `num-supernodes`), `dependencies` the
    requirements of `[project]`, `include` and `exclude` patterns as in a .gitignore, `warnings` what is allowed
    but worth a line. `source` tells which table was read, `[tool.umbel.app]` or `[tool.flwr.app]`.
    """

    publisher: str
    name: str
    version: str
    serverapp: str
    clientapp: str
    source: Source
    description: str = ""
    config: Config = field(default_factory=dict)
    federation: Config = field(default_factory=dict)
    dependencies: list[str] = field(default_factory=list)
    fab_format_version: int = 0
    version_target: str | None = None
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def fab_id(self) -> str:
        """`publisher/name`."""
        return f"{self.publisher}/{self.name}"

    @property
    def components(self) -> dict[str, str]:
        """The two references by the name of their key."""
        return {"serverapp": self.serverapp, "clientapp": self.clientapp}


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
        raise UsageError(message, hint="Add the pairs to the file, or omit the file.")
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
        raise ConfigError(f"The file {path} does not exist.", hint="Check the path.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", hint="Correct that line.") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", hint=error.hint) from None


def _pairs(text: str) -> list[tuple[str, Scalar]]:
    found = []
    position = 0
    while text[position:].strip():
        match = _PAIR.match(text, position)
        if match is None:
            raise UsageError(f"`{text[position:].strip()}` is not of the form key=value.", hint=_PAIRS_HINT)
        found.append((match["key"], _scalar(match["key"], match["value"])))
        position = match.end()
    return found


def _scalar(key: str, raw: str) -> Scalar:
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
        return check_scalar(key, value)
    except tomllib.TOMLDecodeError:
        raise UsageError(f"Invalid value in `{key}={raw}`.", hint=_meant(key, raw)) from None
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from None


def _meant(key: str, raw: str) -> str:
    if raw.lower() in ("true", "false"):
        return f"Write {key}={raw.lower()}."
    if raw[0] in "\"'":
        return "In double quotes a backslash starts an escape sequence: double it, or use single quotes."
    return f"If it is a string, quote it (for the shell as well): '{key}=\"{raw}\"'."


def _fitting(key: str, default: Scalar, value: Scalar) -> Scalar:
    """`value` in the type of `default`."""
    if type(value) is type(default):
        return value
    if type(default) is float and type(value) is int:
        return float(value)
    wanted, given = type(default).__name__, type(value).__name__
    raise ConfigError(
        f"`{key}` is declared as {wanted} (default {default!r}), and {value!r} is {given}.",
        hint=f"Use a value of type {wanted}, or change the default in the app's pyproject.toml.",
    )
