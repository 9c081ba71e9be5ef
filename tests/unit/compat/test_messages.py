from __future__ import annotations

import time

import pytest

from umbel.compat import flwr as alias

with alias.active():
    from flwr.app import DEFAULT_TTL, Context, Error, Message, MessageType, RecordDict


@pytest.fixture
def message() -> Message:
    """An instruction."""
    return Message(RecordDict(), 7, "train.fine", group_id="3", ttl=60.0)


@pytest.mark.parametrize("kind", ["train", "evaluate", "query", "system", "train.x", "query._1", MessageType.TRAIN])
def test_good_message_types(kind: str) -> None:
    """A category, or a category, a dot and an identifier."""
    assert Message(RecordDict(), 1, kind).metadata.message_type == kind


@pytest.mark.parametrize("kind", ["", "training", "train.", "train.a.b", "train.1", "TRAIN", ".x", "fit"])
def test_bad_message_types(kind: str) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError, match="message type"):
        Message(RecordDict(), 1, kind)


def test_an_instruction_lives_twelve_hours() -> None:
    """An instruction without a ttl lives 12 hours."""
    assert Message(RecordDict(), 1, "train").metadata.ttl == DEFAULT_TTL == 43_200


def test_a_reply_goes_back(message: Message) -> None:
    """A reply goes to where the message came from, with its run, group and type, and lives no longer than it."""
    message.metadata.message_id = "m1"
    message.metadata.run_id = 5
    reply = Message(RecordDict(), reply_to=message)
    there, back = message.metadata, reply.metadata
    assert (back.src_node_id, back.dst_node_id) == (there.dst_node_id, there.src_node_id)
    assert (back.run_id, back.group_id, back.message_type, back.reply_to_message_id) == (5, "3", "train.fine", "m1")
    assert 59 < back.ttl <= 60


def test_a_reply_is_not_given_more_time(message: Message) -> None:
    """A longer ttl is cut to what is left of the message's."""
    with pytest.warns(UserWarning, match="was reduced"):
        assert Message(RecordDict(), reply_to=message, ttl=3600).metadata.ttl <= 60
    message.metadata.created_at = time.time() - 30
    assert Message(RecordDict(), reply_to=message).metadata.ttl == pytest.approx(30, abs=1)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"content": RecordDict()},
        {"content": RecordDict(), "dst_node_id": 1},
        {"error": Error(1), "dst_node_id": 1, "message_type": "train"},
        {"content": RecordDict(), "reply_to": Message(RecordDict(), 1, "train"), "dst_node_id": 1},
    ],
)
def test_other_combinations_are_type_errors(arguments: dict[str, object]) -> None:
    """What is neither an instruction nor a reply."""
    with pytest.raises(TypeError):
        Message(**arguments)


def test_content_or_error(message: Message) -> None:
    """A message has one of the two; asking for the other, or setting it, is a ValueError."""
    failed = Message(Error(2, "why"), reply_to=message)
    assert (failed.has_error(), failed.has_content()) == (True, False)
    assert (failed.error.code, failed.error.reason) == (2, "why")
    with pytest.raises(ValueError, match=r"no content|cannot have content"):
        _ = failed.content
    with pytest.raises(ValueError, match=r"no content|cannot have content"):
        failed.content = RecordDict()
    with pytest.raises(ValueError, match=r"no error|cannot have an error"):
        _ = message.error
    with pytest.raises(ValueError, match=r"no error|cannot have an error"):
        message.error = Error(1)


def test_the_older_ways_to_reply(message: Message) -> None:
    """`create_reply` and `create_error_reply` do what `reply_to` does."""
    reply = message.create_reply(RecordDict(), ttl=10.0)
    assert (reply.metadata.dst_node_id, reply.metadata.ttl) == (message.metadata.src_node_id, 10.0)
    assert message.create_error_reply(Error(9)).error.code == 9


def test_a_context_by_place() -> None:
    """Run, node, the node's settings, the state and the run's settings, in this order."""
    context = Context(1, 2, {"partition-id": 0}, RecordDict(), {"lr": 0.1})
    assert (context.run_id, context.node_id, context.node_config, context.run_config) == (
        1,
        2,
        {"partition-id": 0},
        {"lr": 0.1},
    )
