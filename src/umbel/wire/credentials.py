"""How a client proves who it is: a bearer token, or a signature over each request."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Protocol

from umbel.errors import ConfigError
from umbel.wire.signatures import EMPTY_DIGEST, Parameters, base, digest_header, signature_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SHORTEST_SECRET = 32  # bytes
NODE_TAG, EXECUTOR_TAG = "umbel-node", "umbel-superexec"


class Credentials(Protocol):
    """Gives the headers that prove who sends a request."""

    def headers(self, method: str, authority: str, target: str, digest: str | None) -> Mapping[str, str]:
        """Of one attempt at one request; `digest` is the SHA-256 (hex) of its body, None without one."""


class Bearer:
    """A token, which whoever sees it can use."""

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}

    def headers(self, method: str, authority: str, target: str, digest: str | None) -> Mapping[str, str]:
        """See `Credentials`."""
        return self._headers


class Signing:
    """Signs every request (RFC 9421), each attempt with a nonce of its own."""

    def __init__(self, sign: Callable[[bytes], bytes], *, keyid: str, algorithm: str, tag: str) -> None:
        self._sign = sign
        self._named = (keyid, algorithm, tag)

    def headers(self, method: str, authority: str, target: str, digest: str | None) -> Mapping[str, str]:
        """See `Credentials`."""
        keyid, algorithm, tag = self._named
        parameters = Parameters(int(time.time()), keyid, algorithm, secrets.token_urlsafe(18), tag)
        content_digest = digest_header(digest or EMPTY_DIGEST)
        signature = self._sign(base(method, authority, target, content_digest, parameters))
        return signature_headers(content_digest, parameters, signature)


def node_credentials(key: Ed25519PrivateKey) -> Signing:
    """Those of a node: its Ed25519 key, named by its public half."""
    return Signing(key.sign, keyid=node_keyid(key.public_key().public_bytes_raw()), algorithm="ed25519", tag=NODE_TAG)


def node_keyid(public_key: bytes) -> str:
    """The name of a node's key: its 32 raw bytes in base64url, without padding."""
    return base64.urlsafe_b64encode(public_key).decode().rstrip("=")


def executor_credentials(secret: bytes) -> Signing:
    """Those of a SuperExec: a secret that it shares with its SuperLink."""
    return Signing(
        lambda text: hmac.digest(secret, text, "sha256"), keyid="superexec", algorithm="hmac-sha256", tag=EXECUTOR_TAG
    )


def read_secret(path: Path) -> bytes:
    """The secret that SuperExecs share with their SuperLink, without the spaces around it. Raises ConfigError."""
    try:
        secret = path.read_bytes().strip()
    except OSError as failure:
        raise ConfigError(f"The secret in {path} cannot be read: {failure}.") from failure
    if len(secret) < SHORTEST_SECRET:
        raise ConfigError(
            f"The secret in {path} has {len(secret)} bytes, fewer than {SHORTEST_SECRET}.",
            hint="Make one with: openssl rand -hex 32",
        )
    return secret
