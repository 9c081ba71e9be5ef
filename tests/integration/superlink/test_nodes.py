"""Nodes are registered, get other keys, and are unregistered, while the SuperLink runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.integration.superlink.fleet import Site
from tests.integration.superlink.served import EXECUTOR, Served, problem, serve_in, until
from umbel.wire.api import NodeView, NodeViews, RegisterNode, ReplaceKey
from umbel.wire.messages import Activate, Pull
from umbel.wire.signatures import node_credentials, node_keyid

NODES = "/api/v1/nodes"
KEY = Ed25519PrivateKey.generate()
FORMS = {
    "openssh": KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + " me@site",
    "pem": KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    "raw": node_keyid(KEY.public_key().public_bytes_raw()),
}


def with_key(served: Served, key: Ed25519PrivateKey) -> Site:
    """A site that has this key."""
    site = Site(served)
    site.credentials = node_credentials(key)
    return site


async def register(served: Served, key: Ed25519PrivateKey = KEY, name: str = "") -> NodeView:
    """Register a node, which must succeed."""
    body = RegisterNode(public_key=node_keyid(key.public_key().public_bytes_raw()), name=name)
    return await served.ask(NodeView, "POST", NODES, body)


@pytest.mark.parametrize("form", FORMS)
async def test_a_node_is_registered(served: Served, form: str) -> None:
    """Every form of the same key makes the same node; a second registration finds it."""
    node = await served.ask(NodeView, "POST", NODES, RegisterNode(public_key=f" {FORMS[form]}\n", name="Ward 3"))
    assert (node.public_key, node.state, node.name, node.seen_at) == (FORMS["raw"], "offline", "Ward 3", None)
    assert (await register(served)).node_id == node.node_id
    listed = await served.ask(NodeViews, "GET", NODES)
    assert [one.node_id for one in listed.nodes] == [node.node_id]


def openssh(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """A public key of another type."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


BAD_KEYS = {
    "RSA": openssh(rsa.generate_private_key(65537, 2048)),
    "EC key": openssh(ec.generate_private_key(ec.SECP384R1())),
    "private key": KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
    "not a public key": "AAAA",
    "is not a public": "ssh-ed25519 AAAAgarbage me",
    "This is not": "ünïcode" * 3,
    "too long": "A" * 5000,
}


@pytest.mark.parametrize("words", BAD_KEYS)
async def test_another_key_is_refused(served: Served, words: str) -> None:
    """Other types of keys, private ones and garbage are refused with a word on how to make a good one."""
    found = await served.refused("POST", NODES, RegisterNode(public_key=BAD_KEYS[words]))
    assert (found.code, words in found.detail) == ("request-invalid", True), found.detail
    assert found.hint
    assert BAD_KEYS[words][:60] not in found.detail
    assert (await served.ask(NodeViews, "GET", NODES)).nodes == []


async def test_registered_nodes_only(tmp_path: Path) -> None:
    """In registered-only mode a stranger's SuperNode does not get in; once its key is registered it does, without a restart."""
    async with serve_in(tmp_path, registered_only=True) as served:
        site = with_key(served, KEY)
        said = Activate(version="1")
        found = await site.refused("POST", "/api/fleet/activate", said)
        assert (found.code, "not registered" in found.detail) == ("unauthenticated", True)
        node = await register(served)
        assert (await site.activate()).node_id == node.node_id


async def test_anybody_may_join_otherwise(served: Served) -> None:
    """Without that mode an unknown key registers itself when its SuperNode starts."""
    site = with_key(served, KEY)
    begun = await site.activate()
    listed = await served.ask(NodeViews, "GET", NODES)
    assert [(one.node_id, one.state, one.public_key) for one in listed.nodes] == [
        (begun.node_id, "online", FORMS["raw"])
    ]


async def parked_poll(served: Served, site: Site) -> asyncio.Task[httpx2.Response]:
    """A poll of the site that waits at the SuperLink."""
    poll = asyncio.create_task(site.request("POST", "/api/fleet/pull?wait=50", Pull(session=site.session, room=1)))
    topic = f"node:{site.node_id}"
    await until(lambda: topic in served.link.wakeups._bells)
    return poll


async def test_unregistering_ends_the_session_at_once(served: Served) -> None:
    """The poll that waits is refused now, not when it would have ended; the key is a stranger's from then on."""
    site = with_key(served, KEY)
    await site.activate()
    poll = await parked_poll(served, site)
    gone = await served.ask(NodeView, "DELETE", f"{NODES}/{site.node_id}")
    assert (gone.state, gone.public_key) == ("unregistered", None)
    async with asyncio.timeout(10):
        assert problem(await poll).status in (404, 409)
    pull = Pull(session=site.session, room=1)
    assert (await site.refused("POST", "/api/fleet/pull", pull)).code == "unauthenticated"
    assert (await served.ask(NodeViews, "GET", NODES)).nodes == []
    everyone = await served.ask(NodeViews, "GET", f"{NODES}?all=true")
    assert [one.state for one in everyone.nodes] == ["unregistered"]
    assert (await served.refused("DELETE", f"{NODES}/{site.node_id}")).code == "not-found"


async def test_a_key_is_rotated(served: Served) -> None:
    """The node keeps its id; its poll with the old key ends at once, the old key is refused, and the new one begins a session."""
    site = with_key(served, KEY)
    await site.activate()
    poll = await parked_poll(served, site)
    new = Ed25519PrivateKey.generate()
    body = ReplaceKey(public_key=node_keyid(new.public_key().public_bytes_raw()))
    for _ in range(2):
        changed = await served.ask(NodeView, "PUT", f"{NODES}/{site.node_id}/key", body)
        assert (changed.node_id, changed.state, changed.public_key) == (site.node_id, "offline", body.public_key)
    async with asyncio.timeout(10):
        assert problem(await poll).status in (404, 409)
    pull = Pull(session=site.session, room=1)
    assert (await site.refused("POST", "/api/fleet/pull", pull)).code == "unauthenticated"
    again = await with_key(served, new).activate()
    assert (again.node_id, again.session) == (site.node_id, site.session + 2)


async def test_a_key_belongs_to_one_node(served: Served) -> None:
    """A node cannot get the key of another one, nor one that does not exist any key."""
    first, second = await register(served), await register(served, Ed25519PrivateKey.generate())
    assert first.public_key
    body = ReplaceKey(public_key=first.public_key)
    assert (await served.refused("PUT", f"{NODES}/{second.node_id}/key", body)).code == "conflict"
    assert (await served.refused("PUT", f"{NODES}/77/key", body)).code == "not-found"


async def test_only_people_decide_who_takes_part(served: Served) -> None:
    """Neither a SuperExec nor a node registers, lists or removes nodes."""
    site = with_key(served, KEY)
    await site.activate()
    body = RegisterNode(public_key=FORMS["raw"])
    for method, path, sent in (("POST", NODES, body), ("GET", NODES, None), ("DELETE", f"{NODES}/1", None)):
        assert (await served.refused(method, path, sent, EXECUTOR)).code == "permission-refused"
        assert (await site.refused(method, path, sent)).code == "permission-refused"
