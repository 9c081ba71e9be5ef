"""Requests of nodes and of SuperExecs on other machines, signed as their clients sign them."""

from __future__ import annotations

import hashlib

import httpx2
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.superlink.served import SECRET, Served, problem
from umbel.superlink.store import nodes
from umbel.wire.api import ClaimTask, Problem
from umbel.wire.signatures import Credentials, executor_credentials, node_credentials, node_keyid

CLAIM = "/api/runtime/tasks/claim"
WANTED = msgspec.json.encode(ClaimTask(executor="far", kinds=["simulation"]))
SUPEREXEC = executor_credentials(SECRET)


class Site:
    """A node's key, and requests signed with it."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.key = Ed25519PrivateKey.generate()
        self.public_key = node_keyid(self.key.public_key().public_bytes_raw())
        self.credentials = node_credentials(self.key)

    async def register(self, node_id: int) -> None:
        """Write the node into the database."""
        key = self.public_key
        await self.served.link.db.awrite(
            lambda transaction: nodes.insert(transaction, node_id=node_id, public_key=key, name="", at=1.0)
        )

    async def knocks(self) -> Problem:
        """What the SuperLink says to a request that no node may send: "permission-refused" to a node that it knows."""
        return problem(await send(self.served, self.credentials, "GET", "/api/v1/info"))


def authority(served: Served) -> str:
    """The Host of a request."""
    return served.address.removeprefix("http://")


def headers(served: Served, credentials: Credentials, method: str, target: str, body: bytes = b"") -> dict[str, str]:
    """The headers of a signed request."""
    host = authority(served)
    digest = hashlib.sha256(body).hexdigest()
    return {"Host": host, **credentials.headers(method, host, target, digest)}


async def send(
    served: Served, credentials: Credentials, method: str, target: str, body: bytes | None = None, **changed: str
) -> httpx2.Response:
    """Send a signed request, some of whose headers were changed on the way."""
    proof = headers(served, credentials, method, target, body or b"") | changed
    return await served.client.request(method, target, content=body, headers=proof)
