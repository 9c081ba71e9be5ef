"""Nothing is lost, and no client's work is done twice, whichever process is killed and restarted."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest

from tests.integration.supernode.conftest import Gate, StartNode, model, values
from tests.support.fake_superlink import FakeSuperLink
from tests.support.http_peer import Answer, Call, Cut
from umbel.wire.messages import CHUNK

LARGE = 21 * CHUNK // 4  # float32 numbers in 21 chunks
MOST = 2.1 * CHUNK  # bytes that a cut may cost: a tenth


def after(count: int, method: str, act: Callable[[], None]) -> Callable[[Call], Answer | None]:
    """Call `act` when that many chunks have gone this way, and cut the connection of the next one."""
    seen = 0

    def interfere(call: Call) -> Answer | None:
        nonlocal seen
        if call.method != method or not call.path.startswith("/api/objects/"):
            return None
        seen += 1
        if seen != count:
            return None
        act()
        return Cut()

    return interfere


def test_a_superlink_that_comes_back_finds_the_node(superlink: FakeSuperLink, start: StartNode, gate: Gate) -> None:
    """A reply that was computed while it was gone is delivered; messages come again."""
    start()
    message = superlink.send(model(gate=gate))
    gate.wait()
    superlink.stop()
    gate.open()
    superlink.start()
    assert superlink.metrics(message)["rounds"] == 0
    assert superlink.metrics(superlink.send(model(), sequence=2))["rounds"] == 1
    assert len(superlink.activated) == 1


def test_a_node_that_is_killed_while_it_serves_serves_again(
    superlink: FakeSuperLink, start: StartNode, gate: Gate
) -> None:
    """With the state and the random numbers of the first time; the worker of the first has ended with it."""
    first = start()
    superlink.reply(superlink.send(model(), sequence=1))
    message = superlink.send(model(gate=gate), sequence=2)
    worker = psutil.Process(gate.wait())
    first.kill()
    worker.wait(10)
    start()
    assert gate.wait() != worker.pid
    gate.open()
    assert superlink.metrics(message)["rounds"] == 1
    assert superlink.sent[message].leases == 2


def test_what_was_computed_is_not_computed_again(superlink: FakeSuperLink, start: StartNode) -> None:
    """A node that is killed before its reply was taken sends it after its restart."""
    first = start()

    def refuse(call: Call) -> Answer | None:
        if call.path != "/api/fleet/reply":
            return None
        first.process.kill()
        return Cut()

    superlink.interfere = refuse
    message = superlink.send(model())
    first.said()
    superlink.interfere = None
    start()
    reply = superlink.metrics(message)
    assert reply["rounds"] == 0
    again = superlink.metrics(superlink.send(model(), sequence=2))
    assert again["rounds"] == 1
    assert again["pid"] != reply["pid"]
    assert superlink.sent[message].leases == 1


def test_an_acknowledgement_that_is_lost_costs_nothing(superlink: FakeSuperLink, start: StartNode) -> None:
    """The reply is sent again, and is known."""
    replies = 0

    def lose(call: Call) -> Answer | None:
        nonlocal replies
        if call.path != "/api/fleet/reply":
            return None
        replies += 1
        if replies > 1:
            return None
        with superlink.changed:
            superlink._answer_to(call)
        return Cut()

    superlink.interfere = lose
    start()
    assert superlink.metrics(superlink.send(model()))["rounds"] == 0
    assert superlink.metrics(superlink.send(model(), sequence=2))["rounds"] == 1
    superlink.wait(lambda: replies == 3)


@pytest.mark.slow
def test_a_download_goes_on_after_the_node_was_killed(superlink: FakeSuperLink, start: StartNode) -> None:
    """At most a tenth of what had come is fetched again."""
    first = start()
    superlink.reply(superlink.send(model()))
    before = superlink.bytes_out
    superlink.interfere = after(11, "GET", first.process.kill)
    message = superlink.send(model(LARGE), "evaluate", sequence=2)
    first.said()
    superlink.interfere = None
    start()
    assert superlink.metrics(message) == {"sum": float(values(LARGE).sum())}
    assert superlink.bytes_out - before - 4 * LARGE <= MOST


def test_a_download_goes_on_after_the_superlink_was_gone(superlink: FakeSuperLink, start: StartNode) -> None:
    """Likewise, without a restart of the node."""
    start()
    superlink.reply(superlink.send(model()))
    before = superlink.bytes_out
    superlink.interfere = after(11, "GET", superlink.stop)
    message = superlink.send(model(LARGE), "evaluate", sequence=2)
    superlink.wait(lambda: superlink.peer is None)
    superlink.interfere = None
    superlink.start()
    assert superlink.metrics(message) == {"sum": float(values(LARGE).sum())}
    assert superlink.bytes_out - before - 4 * LARGE <= MOST


@pytest.mark.slow
def test_an_upload_goes_on_after_the_node_was_killed(superlink: FakeSuperLink, start: StartNode) -> None:
    """The client is not asked again, and at most a tenth of its reply is sent again."""
    first = start()
    superlink.interfere = after(11, "PUT", first.process.kill)
    message = superlink.send(model(LARGE))
    first.said()
    superlink.interfere = None
    start()
    assert superlink.metrics(message)["rounds"] == 0
    assert superlink.bytes_in - 4 * LARGE <= MOST
    assert superlink.sent[message].leases == 1


@pytest.mark.slow
def test_an_upload_goes_on_after_the_superlink_was_gone(superlink: FakeSuperLink, start: StartNode) -> None:
    """Likewise, without a restart of the node."""
    start()
    superlink.interfere = after(11, "PUT", superlink.stop)
    message = superlink.send(model(LARGE))
    superlink.wait(lambda: superlink.peer is None)
    superlink.interfere = None
    superlink.start()
    assert superlink.metrics(message)["rounds"] == 0
    assert superlink.bytes_in - 4 * LARGE <= MOST


def test_a_node_that_is_ended_leaves_its_message_to_the_next(
    superlink: FakeSuperLink, start: StartNode, gate: Gate
) -> None:
    """SIGTERM ends the client and the session; another SuperNode on the same directory serves the message."""
    first = start()
    message = superlink.send(model(gate=gate))
    worker = psutil.Process(gate.wait())
    assert first.end() == 0
    assert not worker.is_running()
    assert superlink.deactivated == [1]
    start()
    gate.wait()
    gate.open()
    assert superlink.metrics(message)["rounds"] == 0
