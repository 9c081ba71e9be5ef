"""What an app says about itself in its pyproject.toml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from umbel.bundle.flat import Config

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
