"""Request signatures (RFC 9421) and credentials."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from umbel.errors import ConfigError, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


SHORTEST_SECRET = 32  # bytes
NODE_TAG, EXECUTOR_TAG = "umbel-node", "umbel-superexec"


class Credentials(Protocol):
    """Gives the headers that prove who sends a request."""

    def headers(self, method: str, authority: str, target: str, digest: str | None) -> Mapping[str, str]:
        """Of one attempt at one request; `digest` is the SHA-256 (hex) of its body, None without one."""


class Bearer:
    """A bearer token."""

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}

    def headers(self, method: str, authority: str, target: str, digest: str | None) -> Mapping[str, str]:
        """The headers that authenticate a request."""
        return self._headers


class Signing:
    """Signs every request (RFC 9421), each attempt with a fresh nonce."""

    def __init__(self, sign: Callable[[bytes], bytes], *, keyid: str, algorithm: str, tag: str) -> None:
        self._sign = sign
        self._named = (keyid, algorithm, tag)

    def headers(self, method: str, authority: str, target: str, digest: str | None) -> Mapping[str, str]:
        """The headers that authenticate a request."""
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
            f"The secret in {path} is too short: {len(secret)} bytes, at least {SHORTEST_SECRET} are required.",
            hint="Create one with `openssl rand -hex 32`.",
        )
    return secret


LABEL = "umbel"
COMPONENTS = '("@method" "@authority" "@path" "@query" "content-digest")'
EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of no bytes
WINDOW = 60.0  # seconds that the clocks of both sides may differ, and that nonces are remembered

_INPUT = re.compile(
    re.escape(f"{LABEL}={COMPONENTS}")
    + r';created=(?P<created>[1-9][0-9]{0,11});keyid="(?P<keyid>[A-Za-z0-9_-]{1,128})"'
    + r';alg="(?P<algorithm>ed25519|hmac-sha256)";nonce="(?P<nonce>[A-Za-z0-9_-]{16,64})";tag="(?P<tag>[a-z-]{1,32})"'
)
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_SIGNATURE = re.compile(re.escape(LABEL) + r"=:([A-Za-z0-9+/]{20,128}={0,2}):")
_SIGNED_HEADERS = ("host", "content-digest", "signature-input", "signature")


class Parameters(NamedTuple):
    """What a signature says beside what it covers. `created` counts seconds since the epoch."""

    created: int
    keyid: str
    algorithm: str  # "ed25519" or "hmac-sha256"
    nonce: str
    tag: str


class SignedRequest(NamedTuple):
    """A request's signature as it arrived, still to be verified with the key that `parameters` name."""

    parameters: Parameters
    digest: str  # SHA-256 that the body must have, lowercase hex
    base: bytes
    signature: bytes


def digest_header(digest: str) -> str:
    """The Content-Digest of a body whose SHA-256 is `digest` (hex)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


def base(method: str, authority: str, target: str, content_digest: str, parameters: Parameters) -> bytes:
    """The signature base (RFC 9421 §2.5); `target` is the path with its query, as it stands in the request."""
    path, _, query = target.partition("?")
    lines = (
        f'"@method": {method}',
        f'"@authority": {authority.lower()}',
        f'"@path": {path}',
        f'"@query": ?{query}',
        f'"content-digest": {content_digest}',
        f'"@signature-params": {_shown(parameters)}',
    )
    return "\n".join(lines).encode()


def signature_headers(content_digest: str, parameters: Parameters, signature: bytes) -> dict[str, str]:
    """The three headers of a signed request."""
    return {
        "Content-Digest": content_digest,
        "Signature-Input": f"{LABEL}={_shown(parameters)}",
        "Signature": f"{LABEL}=:{base64.b64encode(signature).decode()}:",
    }


def read(method: str, target: str, headers: Iterable[tuple[str, str]]) -> SignedRequest:
    """The signature of a request that arrived; `headers` are all of its lines, names in lower case.

    Raises Unauthenticated when it is missing, of another form, or when one of the headers that it covers came twice.
    """
    lines = [(name, value) for name, value in headers if name in _SIGNED_HEADERS]
    given = dict(lines)
    stated = _INPUT.fullmatch(given.get("signature-input", ""))
    body, signature = (
        _DIGEST.fullmatch(given.get("content-digest", "")),
        _SIGNATURE.fullmatch(given.get("signature", "")),
    )
    if len(lines) != len(given) or stated is None or body is None or signature is None:
        raise Unauthenticated("The request's signature is missing or malformed.")
    parameters = Parameters(
        int(stated["created"]), stated["keyid"], stated["algorithm"], stated["nonce"], stated["tag"]
    )
    try:
        proof, digest = base64.b64decode(signature[1], validate=True), base64.b64decode(body[1], validate=True).hex()
    except binascii.Error:
        raise Unauthenticated("The request's signature is not valid base64.") from None
    text = base(method, given.get("host", ""), target, given["content-digest"], parameters)
    return SignedRequest(parameters, digest, text, proof)


def _shown(parameters: Parameters) -> str:
    created, keyid, algorithm, nonce, tag = parameters
    return f'{COMPONENTS};created={created};keyid="{keyid}";alg="{algorithm}";nonce="{nonce}";tag="{tag}"'
