"""Public keys of nodes, in the forms in which people have them."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

from umbel.errors import RequestInvalid, Unauthenticated
from umbel.superlink.auth.proof import public_key
from umbel.wire.credentials import node_keyid

LONGEST = 4096  # characters
_HINT = "Make a key with `umbel supernode keygen FILE` or `ssh-keygen -t ed25519`, and give the line in FILE.pub."


def parse_public_key(text: str) -> str:
    """The name (`wire.credentials.node_keyid`) of an Ed25519 public key: an OpenSSH line, PEM, or its 32 bytes in base64url.

    Raises RequestInvalid for anything else.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise RequestInvalid("The public key is longer than any key is.", hint=_HINT)
    if "PRIVATE KEY" in text:
        raise RequestInvalid(
            "This is a private key: it stays where it was made.", hint="Give the public key, FILE.pub."
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
        raise RequestInvalid(f"This is a key of the type {kind}; nodes have Ed25519 keys.", hint=_HINT)
    return node_keyid(found.public_bytes_raw())


def _raw(text: str) -> str:
    try:
        return node_keyid(public_key(text).public_bytes_raw())
    except (Unauthenticated, UnicodeEncodeError):
        raise RequestInvalid("This is not a public key.", hint=_HINT) from None
