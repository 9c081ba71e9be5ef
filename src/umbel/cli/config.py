"""The file config.toml: connections to SuperLinks."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from umbel.errors import ConfigError
from umbel.wire.connection import each

if TYPE_CHECKING:
    from umbel.wire.api import Config
    from umbel.wire.control import ControlClient


PATIENCE = 2.0  # seconds for which a person waits for a SuperLink that does not answer
TOKEN_VARIABLE = "UMBEL_TOKEN"  # noqa: S105 - a name, not a token


def connect(name: str | None = None) -> ControlClient:
    """A client of the SuperLink called `name` in `config.toml` (the default one without a name)."""
    return open_client(read_connections().resolve(name))


def open_client(connection: Connection) -> ControlClient:
    """A client of this connection's SuperLink; the local one is started if it does not run.

    Raises ConfigError for a token file that cannot be read, SuperLinkUnreachable when the local one does not start.
    """
    if connection.is_local:
        from umbel.cli.local import connect_local

        return connect_local()
    from umbel.wire.control import ControlClient

    client = ControlClient(connection.url, _token(connection), root_certificates=connection.root_certificates)
    client.http.patience = PATIENCE
    return client


def _token(connection: Connection) -> str:
    if connection.token_file is None:
        return os.environ.get(TOKEN_VARIABLE, "")
    try:
        return Path(connection.token_file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The token of connection '{connection.name}' cannot be read: {error}.",
            hint=f"Correct token-file in config.toml, or set {TOKEN_VARIABLE}.",
        ) from error


LOCAL = ":local:"
DEFAULT_TEXT = """\
# The SuperLinks that `umbel` knows. `umbel run APP NAME` uses [superlink.NAME].

[superlink]
default = "local"

[superlink.local]
address = ":local:"  # a SuperLink on this machine, started when it is needed

# [superlink.hospital]
# address = "superlink.example.org:9093"
# token-file = "/home/me/hospital-token"
# federation = "@me/hospital"
"""


@dataclass(frozen=True)
class Connection:
    """One `[superlink.NAME]` table. `options` is the federation config that every run through it begins with."""

    name: str
    address: str
    federation: str | None = None
    token_file: str | None = None
    root_certificates: str | None = None
    insecure: bool = False
    options: Config = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether it means the SuperLink of this machine that starts by itself."""
        return self.address == LOCAL

    @property
    def url(self) -> str:
        """The address with its scheme: https, unless `insecure` is set, or the host is this machine and no roots are named.

        An address may be several, separated by commas.
        """
        return each(self.address, self._with_scheme)

    def _with_scheme(self, address: str) -> str:
        if "://" in address:
            return address
        host = urlsplit(f"//{address}").hostname
        here = host in ("localhost", "127.0.0.1", "::1") and not self.root_certificates
        plain = self.insecure or here
        return f"{'http' if plain else 'https'}://{address}"


@dataclass(frozen=True)
class Connections:
    """The whole file. `default` is the name used when none is given, if there is one."""

    path: Path
    default: str | None
    by_name: dict[str, Connection]

    def resolve(self, name: str | None = None) -> Connection:
        """The connection called `name`, or the default one. Raises ConfigError for an unknown name."""
        wanted = name or self.default
        known = ", ".join(sorted(self.by_name)) or "none"
        if wanted is None:
            raise ConfigError("No SuperLink was named, and there is no default.", hint=f"Known: {known} ({self.path}).")
        if wanted not in self.by_name:
            raise ConfigError(
                f"There is no SuperLink connection '{wanted}'.", hint=f"Known connections: {known} ({self.path})."
            )
        return self.by_name[wanted]


def config_path() -> Path:
    """Where `config.toml` is."""
    from umbel.home import home

    return home() / "config.toml"


def read_connections(path: Path | None = None) -> Connections:
    """Read `config.toml`, written with a `local` connection on first use. Raises ConfigError."""
    path = path or config_path()
    try:
        text = _read_or_create(path)
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not valid TOML: {error}.", hint="Correct that line, or delete the file."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", hint="UMBEL_HOME names the folder to use.") from error
    return _parse(path, document)


def _read_or_create(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(DEFAULT_TEXT, encoding="utf-8")
        return DEFAULT_TEXT


def _parse(path: Path, document: dict[str, Any]) -> Connections:
    table = document.get("superlink", {})
    if not isinstance(table, dict):
        raise ConfigError(f"[superlink] in {path} must be a table.")
    default = table.get("default")
    if default is not None and not isinstance(default, str):
        raise ConfigError(f"[superlink] default in {path} must be the name of a connection.")
    tables = {name: value for name, value in table.items() if name != "default"}
    return Connections(path, default, {name: _connection(path, name, value) for name, value in tables.items()})


def _connection(path: Path, name: str, table: object) -> Connection:
    where = f"[superlink.{name}] in {path}"
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table with an address.")
    values = {key.replace("-", "_"): _checked(where, key, value) for key, value in table.items()}
    if "address" not in values:
        raise ConfigError(f"{where} has no address.", hint=f'Set address = "HOST:PORT" or "{LOCAL}".')
    certificates = values.get("root_certificates")
    if certificates and values.get("insecure"):
        raise ConfigError(f"{where} has both insecure and root-certificates.", hint="Remove one of them.")
    if certificates and not Path(certificates).is_absolute():
        raise ConfigError(f"root-certificates of {where} must be an absolute path.")
    return Connection(name=name, **values)


_FIELDS = {
    "address": str,
    "federation": str,
    "token-file": str,
    "root-certificates": str,
    "insecure": bool,
    "options": dict,
}


def _checked(where: str, key: str, value: object) -> Any:
    expected = _FIELDS.get(key)
    if expected is None:
        raise ConfigError(f"{where} has an unknown key '{key}'.", hint=f"Known keys: {', '.join(_FIELDS)}.")
    if not isinstance(value, expected):
        raise ConfigError(f"{key} of {where} must be a {expected.__name__}, not {value!r}.")
    if isinstance(value, dict):
        from umbel.bundle.config import flatten

        return {_federation_key(dotted): setting for dotted, setting in flatten(value).items()}
    return value


def _federation_key(dotted: str) -> str:
    """The federation config's key for one of `options`, where Flower's files nest: `backend.name` is `backend-name`."""
    nested = dotted if dotted == "backend.name" else dotted.removeprefix("backend.")
    return nested.replace(".", "-")
