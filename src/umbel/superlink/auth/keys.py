"""Signatures and public keys: verification, parsing, and the keys of registered nodes."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

from umbel.errors import RequestInvalid, Unauthenticated
from umbel.superlink.waiting.wakeups import NODE_KEYS, Wakeups
from umbel.wire.signatures import WINDOW, Parameters, SignedRequest, node_keyid

_WRONG = "The request's signature does not match the request."


def check_time(parameters: Parameters, now: float) -> None:
    """Raises Unauthenticated unless the request was signed within `WINDOW` seconds of `now`, by our clock."""
    late = now - parameters.created
    if abs(late) > WINDOW:
        where = "behind" if late > 0 else "ahead of"
        raise Unauthenticated(
            f"The request was signed {abs(late):.0f} s {where} the SuperLink's clock; at most {WINDOW:.0f} s are allowed.",
            hint="Synchronise the clocks of the sending machine and of the SuperLink (NTP).",
        )


def check_node(request: SignedRequest) -> None:
    """Raises Unauthenticated unless the key that the request names, Ed25519, has signed it."""
    try:
        public_key(request.parameters.keyid).verify(request.signature, request.base)
    except InvalidSignature:
        raise Unauthenticated(_WRONG) from None


def check_executor(request: SignedRequest, secret: bytes) -> None:
    """Raises Unauthenticated unless the request was signed with the secret that SuperExecs share with this SuperLink."""
    if not secret:
        raise Unauthenticated(
            "This SuperLink has no shared secret for SuperExecs.",
            hint="Start it with --superexec-auth-secret-file.",
        )
    if not hmac.compare_digest(hmac.digest(secret, request.base, "sha256"), request.signature):
        raise Unauthenticated(_WRONG, hint="Check that the SuperLink and the SuperExec have the same secret.")


def public_key(keyid: str) -> Ed25519PublicKey:
    """The key that a node's signature names; only one spelling names it. Raises Unauthenticated."""
    try:
        raw = base64.urlsafe_b64decode(f"{keyid}=")
        if node_keyid(raw) == keyid:
            return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        pass
    raise Unauthenticated(
        "The key named in the request is not an Ed25519 public key (32 bytes in base64url without padding)."
    )


LONGEST = 4096  # characters
_HINT = "Make a key with `umbel supernode keygen FILE` or `ssh-keygen -t ed25519`, and use the line in FILE.pub."


def parse_public_key(text: str) -> str:
    """The name (`wire.credentials.node_keyid`) of an Ed25519 public key: an OpenSSH line, PEM, or its 32 bytes in base64url.

    Raises RequestInvalid for anything else.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise RequestInvalid("The public key is too long to be a key.", hint=_HINT)
    if "PRIVATE KEY" in text:
        raise RequestInvalid(
            "This is a private key, which must stay on the machine where it was created.",
            hint="Give the public key, FILE.pub.",
        )
    if " " not in text and not text.startswith("-----"):
        return _raw(text)
    try:
        load = load_pem_public_key if text.startswith("-----") else load_ssh_public_key
        found = load(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise RequestInvalid("This is not a public key.", hint=_HINT) from None
    if not isinstance(found, Ed25519PublicKey):
        kind = type(found).__name__.strip("_").removesuffix("PublicKey")
        raise RequestInvalid(f"This is a {kind} key, but nodes use Ed25519 keys.", hint=_HINT)
    return node_keyid(found.public_bytes_raw())


def _raw(text: str) -> str:
    try:
        return node_keyid(public_key(text).public_bytes_raw())
    except (Unauthenticated, UnicodeEncodeError):
        raise RequestInvalid("This is not a public key.", hint=_HINT) from None


MOST = 100_000  # keys that are remembered


class NodeKeys:
    """Finds the node of a key with `find`, and remembers it until the keys change anywhere.

    `find` returns None for a key that does not (or no longer) belong to a node.
    """

    def __init__(self, find: Callable[[str], Awaitable[int | None]], wakeups: Wakeups) -> None:
        self._find = find
        self._known: dict[str, int] = {}
        self._open = ExitStack()
        self._changed = self._open.enter_context(wakeups.listen(NODE_KEYS))

    async def node_of(self, public_key: str) -> int | None:
        """The id of the node that has this key."""
        if self._changed.is_set() or len(self._known) >= MOST:
            self._changed.clear()
            self._known = {}
        known = self._known
        node_id = known.get(public_key)
        if node_id is None and (node_id := await self._find(public_key)) is not None:
            known[public_key] = node_id  # into the old, unused mapping if the keys have changed meanwhile
        return node_id
