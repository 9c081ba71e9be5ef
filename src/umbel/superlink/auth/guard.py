"""Authentication of requests: allowed hosts, tokens and signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from umbel.errors import PermissionRefused, Unauthenticated
from umbel.superlink.auth import keys
from umbel.superlink.auth.keys import NodeKeys
from umbel.superlink.auth.nonces import Nonces
from umbel.superlink.auth.tokens import Principal, identify
from umbel.wire.signatures import EMPTY_DIGEST, EXECUTOR_TAG, NODE_TAG, SignedRequest, read

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
            raise PermissionRefused(f"The Host {host!r} is not a hostname of this SuperLink.", hint=self._hint())

    def _hint(self) -> str:
        named = ", ".join(sorted(self._names - LOOPBACK)) or "127.0.0.1"
        return f"Known hostnames: {named}. Add others with --allowed-host."


ACTIVATE = "/api/fleet/activate"
_WITHOUT_BODY = {"GET", "HEAD", "DELETE"}


class Secrets(NamedTuple):
    """What the SuperLink shares with those who speak to it."""

    user_token: str
    executor_token: str
    executor_secret: bytes = b""  # of SuperExecs on other machines; empty: there are none


class Identity(NamedTuple):
    """Who sends a request, and the SHA-256 (hex) that its body must have; None when nothing was signed."""

    principal: Principal
    body_digest: str | None


class Guard:
    """Identifies who sends a request, by its token or its signature.

    `registered_only`: a key that is not that of a node may not activate itself.
    """

    def __init__(
        self, secrets: Secrets, nodes: NodeKeys, nonces: Nonces, now: Callable[[], float], *, registered_only: bool
    ) -> None:
        self._secrets = secrets
        self._nodes = nodes
        self._nonces = nonces
        self._now = now
        self._registered_only = registered_only

    async def identify(self, scope: Any) -> Identity:
        """Who sends the request of an ASGI scope. Raises Unauthenticated."""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        given = dict(headers)
        if "signature-input" not in given:
            secrets = self._secrets
            known = identify(given.get("authorization", ""), secrets.user_token, secrets.executor_token)
            return Identity(known, None)
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        request = read(scope["method"], target.decode("latin-1"), headers)
        if scope["method"] in _WITHOUT_BODY and request.digest != EMPTY_DIGEST:
            raise Unauthenticated(f"A {scope['method']} request has no body, but one was signed.")
        return Identity(await self._signer(request, scope["path"]), request.digest)

    async def _signer(self, request: SignedRequest, path: str) -> Principal:
        parameters, now = request.parameters, self._now()
        keys.check_time(parameters, now)
        match parameters.tag, parameters.algorithm:
            case tag, "ed25519" if tag == NODE_TAG:
                keys.check_node(request)
                who = await self._node(parameters.keyid, path)
            case tag, "hmac-sha256" if tag == EXECUTOR_TAG:
                keys.check_executor(request, self._secrets.executor_secret)
                who = Principal("executor")
            case _:
                raise Unauthenticated(
                    f"Unknown signature: tag {parameters.tag!r} with algorithm {parameters.algorithm}."
                )
        await self._nonces.use(parameters, now)
        return who

    async def _node(self, public_key: str, path: str) -> Principal:
        node_id = await self._nodes.node_of(public_key)
        if node_id is None and (self._registered_only or path != ACTIVATE):
            raise Unauthenticated(
                "The node's key is not registered at this SuperLink, or its registration was removed.",
                hint="Ask the operator of the SuperLink to add it with `umbel supernode register`.",
            )
        return Principal("node", node_id=node_id or 0, public_key=public_key)
