"""Decisions while a reply is sent: retries, replacement by an error, rejection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest

from tests.unit.supernode.fakes import FakeFleet, FakeReporter
from umbel.app.message import ErrorCode
from umbel.errors import (
    ObjectInvalid,
    PermissionRefused,
    RequestInvalid,
    StorageFull,
    SuperLinkUnreachable,
    TooLarge,
    UmbelError,
)
from umbel.supernode.jobs import Job, Session
from umbel.supernode.replies import ReplySender, Spool, Spooled
from umbel.wire.messages import ReplyError


class Sending:
    """A sender, and the SuperLink that receives."""

    def __init__(self, folder: Path) -> None:
        self.client, self.spool, self.ending = FakeFleet(), Spool(folder), Event()
        self.sender = ReplySender(self.client, self.spool, FakeReporter(), Session(5, 2), self.ending)

    def send(self, reply: Spooled, failures: Sequence[UmbelError] = ()) -> bool:
        """Send a reply; the SuperLink answers with these errors first."""
        self.client.failures["reply"] = list(failures)
        return self.sender.send(Job(reply.message_id, reply.run_id), reply)


@pytest.fixture
def sending(tmp_path: Path) -> Sending:
    """A sender without replies."""
    return Sending(tmp_path)


def test_a_reply_has_its_session_and_content(sending: Sending) -> None:
    """A small content is part of the reply; the result says whether the SuperLink still expected it."""
    assert sending.send(Spooled("a", 7, 1.5, data=b"abc"))
    (reply,) = sending.client.replies
    assert (reply.session, reply.message_id, reply.seconds, reply.error) == (2, "a", 1.5, None)
    assert reply.content is not None
    assert reply.content.data == b"abc"
    sending.client.is_expected = False
    assert not sending.send(Spooled("b", 7, data=b""))


def test_a_content_in_a_file_is_read_from_there(sending: Sending) -> None:
    """A reply without inline data has its content in the spool's file."""
    sending.spool.content_path("a").write_bytes(b"from the file")
    sending.send(Spooled("a", 7, size=13))
    content = sending.client.replies[0].content
    assert content is not None
    assert content.data == b"from the file"


def test_an_error_has_no_content(sending: Sending) -> None:
    """An error reply is sent as it is."""
    sending.send(Spooled("a", 7, error=ReplyError(code=2, reason="no")))
    (reply,) = sending.client.replies
    assert (reply.content, reply.error) == (None, ReplyError(code=2, reason="no"))


@pytest.mark.parametrize("failure", [SuperLinkUnreachable("down"), StorageFull("full"), ObjectInvalid("it is gone")])
def test_what_may_pass_is_retried(sending: Sending, failure: UmbelError) -> None:
    """An unreachable or full SuperLink, and an object that was removed meanwhile, do not cost the reply."""
    assert sending.send(Spooled("a", 7, data=b"abc"), [failure])
    assert len(sending.client.replies) == 1


@pytest.mark.parametrize("failure", [RequestInvalid("malformed"), TooLarge("too large")])
def test_a_reply_that_cannot_be_accepted_becomes_an_error(sending: Sending, failure: UmbelError) -> None:
    """The ServerApp learns that the reply was malformed, instead of waiting for it."""
    sending.send(Spooled("a", 7, data=b"abc"), [failure])
    (reply,) = sending.client.replies
    assert reply.content is None
    assert reply.error is not None
    assert reply.error.code == ErrorCode.MALFORMED_REPLY
    assert failure.message in str(reply.error.reason)


def test_an_error_that_cannot_be_accepted_is_not_replaced_again(sending: Sending) -> None:
    """An error reply that the SuperLink rejects ends in that rejection."""
    with pytest.raises(RequestInvalid):
        sending.send(Spooled("a", 7, error=ReplyError(code=2)), [RequestInvalid("malformed")])


def test_a_rejection_is_not_retried(sending: Sending) -> None:
    """An error that is neither temporary nor about the reply's form is passed on."""
    with pytest.raises(PermissionRefused):
        sending.send(Spooled("a", 7, data=b"abc"), [PermissionRefused("no")])
    assert sending.client.replies == []


def test_retries_end_with_the_agent(sending: Sending) -> None:
    """When the agent ends, the failure is passed on, and the reply stays in the spool."""
    sending.ending.set()
    sending.spool.keep(Spooled("a", 7, data=b"abc"))
    with pytest.raises(SuperLinkUnreachable):
        sending.send(Spooled("a", 7, data=b"abc"), [SuperLinkUnreachable("down")])
    assert len(sending.spool.replies()) == 1
