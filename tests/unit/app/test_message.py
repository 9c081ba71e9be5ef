"""Message: how one is made, what a reply takes over, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from umbel.app import Error, ErrorCode, Message, MessageInitializationError, MessageType, Metadata, RecordDict
from umbel.app.message import check_message_type

ERROR = Error(ErrorCode.UNKNOWN, "why")


def instruction(ttl: float | None = None, age: float = 0.0) -> Message:
    """A message to node 5, made `age` seconds ago."""
    message = Message(RecordDict(), 5, "train.tune", ttl=ttl, group_id="3")
    message.metadata.message_id = "m1"
    message.metadata.run_id = 9
    message.metadata.created_at -= age
    return message


def test_an_instruction() -> None:
    """From the SuperLink (node 1), with a time to live of 12 hours unless told otherwise."""
    before = time.time()
    metadata = Message(RecordDict(), 5, "train").metadata
    assert (metadata.dst_node_id, metadata.src_node_id, metadata.message_type) == (5, 1, "train")
    assert (metadata.ttl, metadata.group_id, metadata.reply_to_message_id) == (43_200.0, "", "")
    assert before <= metadata.created_at <= time.time()
    named = Message(content=RecordDict(), dst_node_id=5, message_type=MessageType.QUERY, ttl=7.5, group_id="g").metadata
    assert (named.message_type, named.ttl, named.group_id) == ("query", 7.5, "g")


@pytest.mark.parametrize(
    "reply", [Message(RecordDict(), reply_to=instruction()), Message(ERROR, reply_to=instruction())]
)
def test_a_reply(reply: Message) -> None:
    """It goes back, in the same run, group and type, and names the message it answers."""
    metadata = reply.metadata
    assert (metadata.src_node_id, metadata.dst_node_id) == (5, 1)
    assert (metadata.run_id, metadata.group_id, metadata.message_type) == (9, "3", "train.tune")
    assert metadata.reply_to_message_id == "m1"


def test_the_time_to_live_of_a_reply() -> None:
    """What is left of the message's; less if asked for; more is cut with a warning, a tenth of a second more without."""
    assert Message(RecordDict(), reply_to=instruction(100, age=30)).metadata.ttl == pytest.approx(70, abs=1)
    assert Message(RecordDict(), reply_to=instruction(100, age=30), ttl=5).metadata.ttl == 5
    with pytest.warns(UserWarning, match="s of the message and was reduced to it"):
        assert Message(RecordDict(), reply_to=instruction(100, age=30), ttl=99).metadata.ttl == pytest.approx(70, abs=1)
    asked = instruction(100)
    assert Message(RecordDict(), reply_to=asked, ttl=100).metadata.ttl <= 100


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((RecordDict(),), {}),
        ((RecordDict(), 5), {}),
        ((RecordDict(),), {"message_type": "train"}),
        ((ERROR, 5, "train"), {}),
        ((None, 5, "train"), {}),
        (({}, 5, "train"), {}),
        ((RecordDict(), 5), {"reply_to": instruction()}),
        ((RecordDict(),), {"reply_to": instruction(), "message_type": "train"}),
        ((RecordDict(),), {"reply_to": instruction(), "group_id": "g"}),
        ((RecordDict(),), {"reply_to": instruction(), "error": ERROR}),
        ((), {"reply_to": instruction()}),
        (("text",), {"reply_to": instruction()}),
    ],
)
def test_other_combinations_are_type_errors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """An error as an instruction, half an address, a reply with an address, neither or both of content and error."""
    with pytest.raises(MessageInitializationError) as raised:
        Message(*args, **kwargs)
    assert isinstance(raised.value, TypeError)
    assert "content, dst_node_id and message_type" in str(raised.value)


def test_content_or_error() -> None:
    """A message has the one or the other; reading or setting the one it has not raises."""
    good, bad = Message(RecordDict(), reply_to=instruction()), Message(error=ERROR, reply_to=instruction())
    assert (good.has_content(), good.has_error(), bad.has_content(), bad.has_error()) == (True, False, False, True)
    assert bad.error == (0, "why")
    with pytest.raises(ValueError, match="This message has no content because it carries an error: see"):
        _ = bad.content
    with pytest.raises(ValueError, match="This message has no error: see"):
        _ = good.error
    with pytest.raises(ValueError, match="A message with an error cannot have content"):
        bad.content = RecordDict()
    with pytest.raises(ValueError, match="A message with content cannot have an error"):
        good.error = ERROR
    content = RecordDict()
    good.content = content
    assert good.content is content
    bad.error = Error(3)
    assert bad.error == Error(3, None)
    assert repr(bad).startswith("Message(Error(code=3, reason=None), Metadata(")


@pytest.mark.parametrize(
    "message_type", ["train", "evaluate", "query", "system", "train.x", "query._a1", "reconnect", "get_parameters"]
)
def test_message_types(message_type: str) -> None:
    """A category, a category with an action, or one of the old ones."""
    assert check_message_type(message_type) == message_type
    assert check_message_type(message_type) == message_type


@pytest.mark.parametrize(
    "message_type", ["", "Train", "training", "train.", ".x", "train.a.b", "train.1a", "train.a-b", "train a", "fit.x"]
)
def test_bad_message_types(message_type: str) -> None:
    """The error lists the categories."""
    with pytest.raises(ValueError, match="train, evaluate, query, system"):
        Message(RecordDict(), 5, message_type)


@pytest.mark.parametrize("ttl", [0, -1.0])
def test_a_time_to_live_of_nothing(ttl: float) -> None:
    """It must be above 0 seconds; a reply to a message that has expired cannot be made."""
    with pytest.raises(ValueError, match="The ttl of a message must be greater than 0 seconds, not"):
        Message(RecordDict(), 5, "train", ttl=ttl)
    with pytest.raises(ValueError, match="may have expired"):
        Message(RecordDict(), reply_to=instruction(10, age=11))


def test_parts() -> None:
    """A transport reconstructs a message from its metadata."""
    metadata = Metadata("query", 2, ttl=1.0, created_at=0.0)
    assert Message.from_parts(metadata, None, ERROR).metadata is metadata


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"dst_node_id": "5"}, "`dst_node_id` must be an int, not str"),
        ({"src_node_id": 1.0}, "`src_node_id` must be an int, not float"),
        ({"group_id": 3}, "`group_id` must be a str, not int"),
    ],
)
def test_metadata_of_other_types_is_refused(values: dict[str, Any], problem: str) -> None:
    """Node IDs are integers and group IDs are strings."""
    with pytest.raises(TypeError, match=problem):
        Metadata(**{"message_type": "train", "dst_node_id": 5, "ttl": 1.0, "created_at": 0.0, **values})


def test_node_ids_of_numpy_are_accepted() -> None:
    """A node ID that was sampled with NumPy is an integer, too; a group ID of 0 is no missing one."""
    assert Message(RecordDict(), np.int64(5), "train").metadata.dst_node_id == 5  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`group_id` must be a str"):
        Message(RecordDict(), 5, "train", group_id=0)  # type: ignore[arg-type]
