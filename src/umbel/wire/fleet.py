"""The client of the Fleet API: what a SuperNode says to its SuperLink."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING

from umbel.wire.http import PATIENCE, HttpClient
from umbel.wire.messages import (
    Accepted,
    Activate,
    Deactivate,
    NodeReport,
    NodeRun,
    NodeSession,
    Pull,
    Pulled,
    ReplyMessage,
)

if TYPE_CHECKING:
    from pathlib import Path

    from umbel.wire.credentials import Credentials


class FleetClient:
    """One node at one SuperLink. Every method may raise any error of the API.

    `patience` is how long, in seconds, a SuperLink may be gone. `http` carries contents and bundles.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials,
        *,
        patience: float = PATIENCE,
        root_certificates: Path | None = None,
    ) -> None:
        self.http = HttpClient(address, credentials, patience=patience, root_certificates=root_certificates)

    def activate(self, activate: Activate) -> NodeSession:
        """Begin a session; older ones of this node end."""
        return self.http.call("POST", "/api/fleet/activate", NodeSession, activate)

    def pull(self, pull: Pull, wait: float = 30) -> Pulled:
        """Messages, and which of those that are held nobody waits for any more; waits up to `wait` seconds for any."""
        return self.http.call("POST", f"/api/fleet/pull?wait={wait:g}", Pulled, pull, wait)

    def run(self, run_id: int) -> NodeRun:
        """What it takes to serve a run."""
        return self.http.call("GET", f"/api/fleet/runs/{run_id}", NodeRun)

    def reply(self, reply: ReplyMessage) -> bool:
        """Answer a message; False when nobody waits for the answer any more."""
        return self.http.call("POST", "/api/fleet/reply", Accepted, reply).accepted

    def report(self, report: NodeReport) -> None:
        """Hand over log lines and progress."""
        self.http.call("POST", "/api/fleet/report", NoneType, report)

    def deactivate(self, session: int) -> None:
        """End a session: the SuperNode goes, and may come back."""
        self.http.call("POST", "/api/fleet/deactivate", NoneType, Deactivate(session=session))

    def close(self) -> None:
        """Close the calling thread's connection and end every wait for a retry."""
        self.http.close()
