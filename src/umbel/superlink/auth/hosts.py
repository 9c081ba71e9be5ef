"""Names under which a SuperLink may be asked: a foreign page whose name was made to point here gets no answer."""

from __future__ import annotations

from urllib.parse import urlsplit

from umbel.errors import PermissionRefused

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Hosts:
    """The host names and addresses in `names`; "*.example.org" stands for one label before the dot, "*" for any name.

    Those of this machine itself are always among them.
    """

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self._names = LOOPBACK | {name.lower() for name in names}

    def check(self, host_header: str) -> None:
        """Raises PermissionRefused unless the Host header names this SuperLink (DNS rebinding)."""
        try:
            host = urlsplit(f"//{host_header}").hostname or ""
        except ValueError:
            host = ""
        if self._names.isdisjoint({host, f"*.{host.partition('.')[2]}", "*"}):
            raise PermissionRefused(f"The Host {host!r} is not a name of this SuperLink.", hint=self._hint())

    def _hint(self) -> str:
        named = ", ".join(sorted(self._names - LOOPBACK)) or "127.0.0.1"
        return f"Its names: {named}. Others come with --allowed-host."
