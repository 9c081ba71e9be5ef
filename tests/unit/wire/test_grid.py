"""The Grid's client: the route, body and answer of each call."""

from __future__ import annotations

import json

from tests.support.http_peer import Answer, Call, answering, json_answer, ok
from umbel.wire.messages import ContentRef, Forget, Journal, JournalEntry, Outgoing, PushMessages
from umbel.wire.programs import GridClient, RuntimeClient

EMPTY = ok(status="204 No Content")
ANSWERS = {
    "nodes": {"node_ids": [3, 5]},
    "replies": {"replies": [{"number": 8, "message_id": "m", "node_id": 3, "sequence": 1, "index": 0}]},
    "journal": {"entries": [{"call": 2, "value": [3, 5]}], "sequence": 4},
}


def answer(call: Call) -> Answer:
    """What a SuperLink answers."""
    what = call.path.rpartition("/")[2].partition("?")[0]
    return json_answer(ANSWERS[what]) if call.method == "GET" else EMPTY


def test_each_call_has_its_route() -> None:
    """Methods, paths and bodies are those of the API; answers are what the Grid needs."""
    message = Outgoing(
        message_id="m", node_id=3, index=0, content=0, message_type="train", created_at=1.5, ttl=60.0, group_id="g"
    )
    push = PushMessages(sequence=1, contents=[ContentRef(size=1, data=b"x")], messages=[message], keep_from=1)
    with answering(answer) as server:
        client = GridClient(RuntimeClient(server.address, "token"), 7)
        assert client.nodes(2, wait=0.5) == [3, 5]
        client.push(push)
        (reply,) = client.replies(after=7, wait=0.25)
        assert (reply.number, reply.node_id, reply.error, reply.content) == (8, 3, None, None)
        client.expire(["m"])
        assert client.journal() == Journal(entries=[JournalEntry(call=2, value=[3, 5])], sequence=4)
        client.record([JournalEntry(call=3, value=["m"])])
        client.forget(Forget(sequence=4, call=3))
        assert client.http.address == server.address
    assert {call.headers["authorization"] for call in server.calls} == {"Bearer token"}
    assert [(call.method, call.path.removeprefix("/api/runtime/tasks/7/")) for call in server.calls] == [
        ("GET", "nodes?at_least=2&wait=0.5"),
        ("POST", "messages"),
        ("GET", "replies?after=7&wait=0.25"),
        ("POST", "expire"),
        ("GET", "journal?after=0"),
        ("POST", "journal"),
        ("POST", "forget"),
    ]
    bodies = [json.loads(call.body) for call in server.calls if call.method == "POST"]
    assert bodies[0]["messages"][0] | {"ttl": 0} == {
        "message_id": "m", "node_id": 3, "index": 0, "content": 0, "message_type": "train", "created_at": 1.5, "ttl": 0,
        "group_id": "g",
    }  # fmt: skip
    assert (bodies[0]["sequence"], bodies[0]["keep_from"], bodies[0]["contents"]) == (
        1,
        1,
        [{"size": 1, "data": "eA=="}],
    )
    assert bodies[1:] == [
        {"message_ids": ["m"]},
        {"entries": [{"call": 3, "value": ["m"]}]},
        {"sequence": 4, "call": 3},
    ]
