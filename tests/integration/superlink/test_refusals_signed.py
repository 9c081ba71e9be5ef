"""Signed requests that are refused: replayed, altered, stale, of a stranger."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import msgspec
import pytest

from tests.integration.superlink.served import EXECUTOR, SECRET, Served, problem, serve_in
from tests.integration.superlink.signing import CLAIM, SUPEREXEC, WANTED, Site, headers, send
from umbel.superlink.store import nodes
from umbel.superlink.store.database import Transaction
from umbel.superlink.waiting.wakeups import NODE_KEYS
from umbel.wire.messages import Activate
from umbel.wire.signatures import digest_header, executor_credentials, node_credentials


async def test_a_superexec_signs_with_the_shared_secret(served: Served) -> None:
    """A SuperExec of another machine claims a task with HMAC signatures and no token at all."""
    await served.start()
    response = await send(served, SUPEREXEC, "POST", CLAIM, WANTED)
    assert response.status_code == 200, response.text
    task = response.json()["task_id"]
    assert (await send(served, SUPEREXEC, "GET", f"/api/runtime/tasks/{task}/directive")).status_code == 200


async def test_a_replayed_request_is_refused(served: Served) -> None:
    """The same signed request a second time is refused, however good its signature is."""
    proof = headers(served, SUPEREXEC, "POST", CLAIM, WANTED)
    assert (await served.client.post(CLAIM, content=WANTED, headers=proof)).status_code == 204
    found = problem(await served.client.post(CLAIM, content=WANTED, headers=proof))
    assert (found.status, found.code) == (401, "unauthenticated")
    assert "The request is a replay: its nonce has already been used" in found.detail


async def test_an_altered_body_is_refused(served: Served) -> None:
    """Another body than the one that was signed is refused, and nothing of it is done."""
    await served.start()
    proof = headers(served, SUPEREXEC, "POST", CLAIM, WANTED)
    altered = WANTED.replace(b"far", b"fat")
    found = problem(await served.client.post(CLAIM, content=altered, headers=proof))
    assert "The request body differs from the one that was signed" in found.detail
    proof = headers(served, SUPEREXEC, "POST", CLAIM, WANTED)
    proof["Content-Digest"] = digest_header(hashlib.sha256(altered).hexdigest())
    found = problem(await served.client.post(CLAIM, content=altered, headers=proof))
    assert "does not match the request" in found.detail
    assert (await served.claim()).attempt == 1


async def test_an_object_is_the_one_that_was_signed(served: Served) -> None:
    """A signed upload cannot be turned into that of another object."""
    site = Site(served)
    await site.register(5)
    data = b"an update"
    digest = hashlib.sha256(data).hexdigest()
    response = await send(served, site.credentials, "PUT", f"/api/objects/{digest}", b"something else")
    assert (problem(response).status, "signed" in problem(response).detail) == (401, True)


async def test_a_get_with_a_body_is_refused(served: Served) -> None:
    """A request that has no body is signed as one."""
    path = "/api/runtime/tasks/1/directive"
    assert "no body" in problem(await send(served, SUPEREXEC, "GET", path, b"body")).detail


async def test_a_signature_is_for_one_route(served: Served) -> None:
    """Method, path and query are signed: the signature opens nothing else."""
    proof = headers(served, SUPEREXEC, "POST", CLAIM, WANTED)
    for target in (f"{CLAIM}?wait=0", "/api/runtime/tasks/1/exited"):
        assert (
            "does not match the request"
            in problem(await served.client.post(target, content=WANTED, headers=proof)).detail
        )
    other = proof | {"Host": "localhost"}
    assert (
        "does not match the request" in problem(await served.client.post(CLAIM, content=WANTED, headers=other)).detail
    )


@pytest.mark.parametrize(("skew", "where"), [(-61.5, "behind"), (61.5, "ahead")])
async def test_a_stale_signature_is_refused(
    served: Served, monkeypatch: pytest.MonkeyPatch, skew: float, where: str
) -> None:
    """A request signed more than a minute ago, or in the future, is refused with a word about the clocks."""
    now = time.time()
    with monkeypatch.context() as patched:
        patched.setattr("umbel.wire.signatures.time.time", lambda: now + skew)
        proof = headers(served, SUPEREXEC, "POST", CLAIM, WANTED)
    found = problem(await served.client.post(CLAIM, content=WANTED, headers=proof))
    assert (found.status, found.code, where in found.detail) == (401, "unauthenticated", True)
    assert "clock" in str(found.hint)


async def test_a_clock_that_is_a_little_wrong_is_no_matter(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty seconds off are accepted, in both directions."""
    now = time.time()
    for skew in (-50, 50):
        with monkeypatch.context() as patched:
            patched.setattr("umbel.wire.signatures.time.time", lambda skew=skew: now + skew)
            proof = headers(served, SUPEREXEC, "POST", CLAIM, WANTED)
        assert (await served.client.post(CLAIM, content=WANTED, headers=proof)).status_code == 204


async def test_another_secret_is_refused(served: Served) -> None:
    """So is a SuperExec with a wrong secret, one that signs as a node, and a node that signs as a SuperExec."""
    wrong = executor_credentials(b"guessed")
    assert "does not match the request" in problem(await send(served, wrong, "POST", CLAIM, WANTED)).detail
    for before, after in (
        ("umbel-superexec", "umbel-node"),
        ("hmac-sha256", "ed25519"),
        ("umbel-superexec", "console"),
    ):
        proof = headers(served, SUPEREXEC, "POST", CLAIM, WANTED)
        proof["Signature-Input"] = proof["Signature-Input"].replace(before, after)
        assert problem(await served.client.post(CLAIM, content=WANTED, headers=proof)).status == 401


async def test_without_a_secret_there_is_no_signing_superexec(tmp_path: Path) -> None:
    """A SuperLink that shares no secret accepts no HMAC, least of all one with an empty key."""
    async with serve_in(tmp_path, secret=b"") as served:
        for secret in (b"", SECRET):
            found = problem(await send(served, executor_credentials(secret), "POST", CLAIM, WANTED))
            assert "This SuperLink has no shared secret for SuperExecs" in found.detail


async def test_a_signature_beside_a_token_counts(served: Served) -> None:
    """A good token does not save a request whose signature is bad."""
    proof = headers(served, executor_credentials(b"guessed"), "POST", CLAIM, WANTED)
    proof["Authorization"] = f"Bearer {EXECUTOR}"
    assert problem(await served.client.post(CLAIM, content=WANTED, headers=proof)).status == 401


async def test_a_node_is_known_by_its_key(served: Served) -> None:
    """A registered key is that of its node, which may not do what a person may; another key is a stranger's."""
    site, stranger = Site(served), Site(served)
    await site.register(5)
    assert (await site.knocks()).code == "permission-refused"
    found = await stranger.knocks()
    assert (found.code, "not registered" in found.detail) == ("unauthenticated", True)
    assert "supernode register" in str(found.hint)


async def test_a_key_that_is_gone_is_refused_at_once(served: Served) -> None:
    """A revoked key is refused by the running SuperLink, although it was remembered."""
    site = Site(served)
    await site.register(5)
    assert (await site.knocks()).code == "permission-refused"

    def revoke(transaction: Transaction) -> None:
        nodes.change(transaction, 5, {"public_key": None})
        transaction.topics.add(NODE_KEYS)

    await served.link.db.awrite(revoke)
    assert (await site.knocks()).code == "unauthenticated"


async def test_a_key_has_one_spelling(served: Served) -> None:
    """The unused bits at the end of a key's base64 do not make another key of it, nor do too few bytes a key."""
    site = Site(served)
    await site.register(5)
    last = site.public_key[-1]
    twin = chr(ord(last) + 1)
    said = msgspec.json.encode(Activate(version="1"))
    for keyid in (site.public_key[:-1] + twin, site.public_key[:-1], "AAAA", "A" * 44):
        signer = node_credentials(site.key)
        signer._named = (keyid, "ed25519", "umbel-node")
        found = problem(await send(served, signer, "POST", "/api/fleet/activate", said))
        assert (found.status, "32 bytes in base64url" in found.detail) == (401, True)
