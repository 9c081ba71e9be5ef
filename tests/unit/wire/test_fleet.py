"""The Fleet client: what it asks for and what it makes of the answers."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.http_peer import json_answer, ok, peer
from umbel.wire.messages import Activate, ContentRef, NodeReport, Pull, ReplyMessage
from umbel.wire.programs import FleetClient
from umbel.wire.signatures import node_credentials, read

KEY = Ed25519PrivateKey.generate()
RUN = {"run_id": 3, "fab_id": "p/n", "fab_version": "1", "fab_hash": "ab", "run_config": {"lr": 0.1}, "seed": 7}
DELIVERY = {
    "message_id": "m",
    "run_id": 3,
    "sequence": 1,
    "keep_from": 0,
    "message_type": "train",
    "group_id": "",
    "created_at": 1.0,
    "ttl": 2.0,
    "content": {"size": 1, "data": "AA=="},
}


def test_each_call_has_its_route() -> None:
    """The calls use the methods, paths and bodies of the API and decode what comes."""
    answers = [
        json_answer({"node_id": 5, "session": 2}),
        json_answer({"messages": [DELIVERY], "cancelled": ["x"]}),
        json_answer(RUN),
        json_answer({"accepted": False}),
        ok(status="204 No Content"),
        ok(status="204 No Content"),
    ]
    with peer(*answers) as server:
        client = FleetClient(server.address, node_credentials(KEY))
        assert client.activate(Activate(version="1")).session == 2
        pulled = client.pull(Pull(session=2, room=1), wait=0.5)
        assert (pulled.messages[0].content, pulled.cancelled) == (ContentRef(size=1, data=b"\0"), ["x"])
        assert client.run(3).run_config == {"lr": 0.1}
        assert not client.reply(ReplyMessage(session=2, message_id="m"))
        client.report(NodeReport(session=2, seq=1))
        client.deactivate(2)
    assert [(call.method, call.path, json.loads(call.body or b"null")) for call in server.calls] == [
        ("POST", "/api/fleet/activate", {"version": "1"}),
        ("POST", "/api/fleet/pull?wait=0.5", {"session": 2, "room": 1}),
        ("GET", "/api/fleet/runs/3", None),
        ("POST", "/api/fleet/reply", {"session": 2, "message_id": "m"}),
        ("POST", "/api/fleet/report", {"session": 2, "seq": 1}),
        ("POST", "/api/fleet/deactivate", {"session": 2}),
    ]


def test_every_request_is_signed_with_the_nodes_key() -> None:
    """The signature covers what was sent and verifies."""
    with peer(json_answer(RUN)) as server:
        FleetClient(server.address, node_credentials(KEY)).run(3)
    call = server.calls[0]
    assert call.path == "/api/fleet/runs/3"
    signed = read(call.method, call.path, call.headers.items())
    KEY.public_key().verify(signed.signature, signed.base)
