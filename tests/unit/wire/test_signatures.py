"""Signed requests: what another implementation of RFC 9421 says of ours, and that nothing in them can be changed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import http_message_signatures as independent
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import algorithms
from hypothesis import given
from hypothesis import strategies as st

from umbel.errors import Unauthenticated
from umbel.wire.signatures import (
    EMPTY_DIGEST,
    Bearer,
    Credentials,
    SignedRequest,
    digest_header,
    executor_credentials,
    node_credentials,
    node_keyid,
    read,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SECRET = b"a secret that both sides know....."
BODY = b'{"session": 1}'
DIGEST = hashlib.sha256(BODY).hexdigest()
TARGETS = ["/api/fleet/pull?wait=30&x=%20y", "/api/fleet/pull", "/api/objects/00?message=ab", "/?a=1?b=2"]
COVERED = ("@method", "@authority", "@path", "@query", "content-digest")


@dataclass
class Message:
    """A request as the other implementation wants it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


class Keys(independent.HTTPSignatureKeyResolver):
    """Finds both keys by their names."""

    def resolve_public_key(self, key_id: str) -> object:
        return SECRET if key_id == "superexec" else KEY.public_key()

    def resolve_private_key(self, key_id: str) -> object:
        return SECRET if key_id == "superexec" else KEY


def signed(credentials: Credentials, target: str = TARGETS[0], authority: str = "h.example:9093") -> dict[str, str]:
    """The headers of a POST of `BODY`, names in lower case, with its Host."""
    found = credentials.headers("POST", authority, target, DIGEST)
    return {"host": authority} | {name.lower(): value for name, value in found.items()}


def parsed(headers: Mapping[str, str], target: str = TARGETS[0], method: str = "POST") -> SignedRequest:
    """What the receiver reads."""
    return read(method, target, headers.items())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("authority", ["h.example:9093", "h.example", "[::1]:9093", "H.Example:9093"])
def test_another_implementation_verifies_what_we_sign(target: str, authority: str) -> None:
    """Signatures of nodes and of SuperExecs are good RFC 9421 for an independent verifier, body included."""
    for credentials, algorithm, tag in (
        (node_credentials(KEY), algorithms.ED25519, "umbel-node"),
        (executor_credentials(SECRET), algorithms.HMAC_SHA256, "umbel-superexec"),
    ):
        message = Message("POST", f"https://{authority}{target}", signed(credentials, target, authority))
        verifier = independent.HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=Keys())
        found = verifier.verify(message, expect_tag=tag, require_components=COVERED, body=BODY)
        assert len(found) == 1


def test_we_verify_what_another_implementation_signs() -> None:
    """A client in another language that follows the form is understood: the base is the same, byte for byte."""
    message = Message("POST", f"https://h.example:9093{TARGETS[0]}", {"Content-Digest": digest_header(DIGEST)})
    signer = independent.HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Keys())
    signer.sign(
        message,
        key_id=node_keyid(KEY.public_key().public_bytes_raw()),
        label="umbel",
        nonce="0123456789abcdef",
        tag="umbel-node",
        covered_component_ids=COVERED,
        use_existing_digest=True,
    )
    request = parsed({"host": "h.example:9093"} | {name.lower(): value for name, value in message.headers.items()})
    KEY.public_key().verify(request.signature, request.base)
    assert request.digest == DIGEST


def test_a_signed_request_is_read_back() -> None:
    """The receiver finds the parameters, the body's digest and a base that the signature fits."""
    request = parsed(signed(node_credentials(KEY)))
    KEY.public_key().verify(request.signature, request.base)
    assert (request.digest, request.parameters.algorithm, request.parameters.tag) == (DIGEST, "ed25519", "umbel-node")
    assert request.parameters.keyid == node_keyid(KEY.public_key().public_bytes_raw())
    request = parsed(signed(executor_credentials(SECRET)))
    assert request.signature == hmac.digest(SECRET, request.base, "sha256")


def test_every_attempt_has_a_nonce_of_its_own() -> None:
    """The same request signed twice carries two nonces, so that a retry is no replay."""
    credentials = node_credentials(KEY)
    assert len({parsed(signed(credentials)).parameters.nonce for _ in range(20)}) == 20


def test_a_request_without_a_body_has_the_digest_of_no_bytes() -> None:
    """A GET is signed over the digest of the empty body."""
    headers = node_credentials(KEY).headers("GET", "h.example", "/x", None)
    assert headers["Content-Digest"] == digest_header(EMPTY_DIGEST)
    assert hashlib.sha256(b"").hexdigest() == EMPTY_DIGEST


def test_a_token_is_sent_as_it_is() -> None:
    """A bearer token needs nothing of the request."""
    assert Bearer("t").headers("GET", "h", "/", None) == {"Authorization": "Bearer t"}


def broken(headers: Mapping[str, str], target: str = TARGETS[0], method: str = "POST") -> bool:
    """Whether the receiver would refuse the request: it is unreadable, or its signature does not fit."""
    try:
        request = parsed(headers, target, method)
        KEY.public_key().verify(request.signature, request.base)
    except (Unauthenticated, InvalidSignature):
        return True
    return False


def test_a_change_of_what_is_covered_breaks_the_signature() -> None:
    """Another method, authority, path, query, digest, or any other parameter, and the signature fits no more."""
    headers = signed(node_credentials(KEY))
    stated = headers["signature-input"]
    assert not broken(headers)
    assert broken(headers, method="PUT")
    for target in ("/api/fleet/pull?wait=31&x=%20y", "/api/fleet/Pull?wait=30&x=%20y", "/api/fleet/pull"):
        assert broken(headers, target)
    assert broken(headers, "//other/api/fleet/pull?wait=30&x=%20y")
    assert broken(headers | {"host": "other.example:9093"})
    assert broken(headers | {"content-digest": digest_header(EMPTY_DIGEST)})
    parameters = parsed(headers).parameters
    for before, after in (
        (str(parameters.created), str(parameters.created + 1)),
        (str(parameters.created), f"0{parameters.created}"),
        (parameters.keyid, "A" * 43),
        (parameters.nonce, "A" * 24),
        ("umbel-node", "umbel-superexec"),
        ("ed25519", "hmac-sha256"),
        (' "content-digest"', ""),
    ):
        assert broken(headers | {"signature-input": stated.replace(before, after)}), before


@given(name=st.sampled_from(["signature-input", "signature", "content-digest", "host"]), data=st.data())
def test_a_changed_character_is_noticed(name: str, data: st.DataObject) -> None:
    """Any character of what is signed, or of the signature, replaced by another one: the request is refused."""
    headers = signed(node_credentials(KEY), authority="h.example:9093")
    text = headers[name]
    position = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(min_codepoint=32, max_codepoint=255).filter(lambda one: one != text[position]))
    changed = text[:position] + character + text[position + 1 :]
    same = changed.lower() == text if name == "host" else name == "signature" and proof(changed) == proof(text)
    assert broken(headers | {name: changed}) is not same


def proof(header: str) -> bytes:
    """The bytes of a Signature header, as far as it is one: the last characters of base64 have bits without meaning."""
    try:
        return base64.b64decode(header.removeprefix("umbel=:").removesuffix(":"), validate=True)
    except ValueError:
        return b""


LATIN = st.text(st.characters(max_codepoint=255), max_size=120)


@given(
    method=LATIN,
    target=LATIN,
    headers=st.lists(st.tuples(st.sampled_from(["host", "signature", "signature-input", "content-digest"]), LATIN)),
)
def test_no_input_crashes_the_reader(method: str, target: str, headers: list[tuple[str, str]]) -> None:
    """Whatever arrives in the headers is refused with the one typed error."""
    with pytest.raises(Unauthenticated):
        read(method, target, headers)


def test_a_covered_header_comes_once() -> None:
    """A second Host, digest or signature beside the good one is refused: another reader might take that one."""
    headers = signed(node_credentials(KEY))
    for name in ("host", "content-digest", "signature-input", "signature"):
        twice: Iterable[tuple[str, str]] = [*headers.items(), (name, headers[name])]
        with pytest.raises(Unauthenticated):
            read("POST", TARGETS[0], twice)
