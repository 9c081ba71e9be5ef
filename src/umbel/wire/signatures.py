"""HTTP Message Signatures (RFC 9421) in the one form that Umbel uses, and Content-Digest (RFC 9530).

Every signature covers the method, the authority, the path, the query and the digest of the body, with the time of signing, a nonce,
the key's name and a tag. Nodes sign with Ed25519, SuperExecs with HMAC-SHA256. `base` is the text that is signed; both sides build it
from the request they have, so nothing in it can be changed on the way.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, NamedTuple

from umbel.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        raise Unauthenticated("The request's signature is missing or not of the form that is asked for.")
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
