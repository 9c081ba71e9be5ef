"""Whether a signature is good: the key, the time, the text."""

from __future__ import annotations

import base64
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from umbel.errors import Unauthenticated
from umbel.wire.credentials import node_keyid
from umbel.wire.signatures import WINDOW, Parameters, SignedRequest

_WRONG = "The request's signature does not fit the request."


def check_time(parameters: Parameters, now: float) -> None:
    """Raises Unauthenticated unless the request was signed within `WINDOW` seconds of `now`, by our clock."""
    late = now - parameters.created
    if abs(late) > WINDOW:
        where = "behind" if late > 0 else "ahead of"
        raise Unauthenticated(
            f"The request was signed {abs(late):.0f} s {where} the SuperLink's clock; {WINDOW:.0f} s are allowed.",
            hint="Set the clock of the machine that sends it (NTP), and that of the SuperLink.",
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
            "This SuperLink shares no secret with a SuperExec.",
            hint="Start it with --superexec-auth-secret-file.",
        )
    if not hmac.compare_digest(hmac.digest(secret, request.base, "sha256"), request.signature):
        raise Unauthenticated(_WRONG, hint="Do the SuperLink and the SuperExec have the same secret?")


def public_key(keyid: str) -> Ed25519PublicKey:
    """The key that a node's signature names; only one spelling names it. Raises Unauthenticated."""
    try:
        raw = base64.urlsafe_b64decode(f"{keyid}=")
        if node_keyid(raw) == keyid:
            return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        pass
    raise Unauthenticated(
        "The key that the request names is not an Ed25519 key: 32 bytes in base64url, without padding."
    )
