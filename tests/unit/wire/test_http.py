"""The HTTP client: connections, repeats, errors, limits."""

from __future__ import annotations

import threading
import time
from types import NoneType

import pytest

from tests.support.http_peer import Call, Cut, Peer, answering, json_answer, ok, peer, problem
from umbel.errors import (
    ConfigError,
    NotFound,
    PermissionRefused,
    SuperLinkUnreachable,
    TooLarge,
    UmbelError,
)
from umbel.wire import http
from umbel.wire.api import ServerInfo, StartRun
from umbel.wire.http import HttpClient, Request, read_answer

INFO = json_answer({"version": "1"})


def info(client: HttpClient) -> ServerInfo:
    return client.call("GET", "/api/v1/info", ServerInfo)


def test_a_call_sends_the_token_and_a_struct_and_decodes_the_answer() -> None:
    """A call carries the bearer token and the body as JSON, and returns the answer as a struct."""
    with peer(INFO) as server:
        client = HttpClient(server.address, "secret")
        answer = client.call("POST", "/x", ServerInfo, StartRun(fab_hash="ab", seed=3))
    assert answer == ServerInfo(version="1")
    call = server.calls[0]
    assert (call.method, call.path, call.body) == ("POST", "/x", b'{"fab_hash":"ab","seed":3}')
    assert call.headers["authorization"] == "Bearer secret"
    assert call.headers["content-type"] == "application/json"


def test_a_thread_keeps_its_connection() -> None:
    """Calls of one thread share a connection, after an error too; another thread has its own."""
    with peer(INFO, problem(404, "not-found", "No."), INFO) as server:
        client = HttpClient(server.address, "")
        info(client)
        with pytest.raises(NotFound):
            info(client)
        info(client)
        thread = threading.Thread(target=info, args=(client,))
        thread.start()
        thread.join()
    assert [call.connection for call in server.calls] == [0, 0, 0, 1]


def test_a_connection_that_the_server_closed_while_idle_is_replaced_unseen() -> None:
    """A keep-alive connection that the server has closed costs no failed call, even without any patience."""
    with peer(Cut(INFO), INFO) as server:
        client = HttpClient(server.address, "", patience=0)
        info(client)
        client._local.held.connection.sock.recv(1)  # returns at the server's close
        assert info(client).version == "1"


def test_an_answer_that_says_close_is_followed_by_a_new_connection() -> None:
    """`Connection: close` is obeyed."""
    with peer(ok(b"{}", Connection="close")) as server:
        client = HttpClient(server.address, "")
        info(client)
        info(client)
    assert [call.connection for call in server.calls] == [0, 1]


@pytest.mark.parametrize("cut", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"])
def test_a_cut_call_is_repeated(cut: bytes) -> None:
    """A connection that is cut before or within the answer leads to the same call once more, body included."""
    with peer(Cut(cut), INFO) as server:
        answer = HttpClient(server.address, "").call("POST", "/x", ServerInfo, StartRun(fab_hash="ab"))
    assert answer.version == "1"
    assert [call.body for call in server.calls] == [b'{"fab_hash":"ab"}'] * 2


def test_a_refused_connection_is_tried_until_the_server_is_back() -> None:
    """While nothing listens the call waits; it succeeds as soon as the SuperLink is there again."""
    first = Peer(lambda _: INFO)
    first.close()
    backs: list[Peer] = []

    def come_back() -> None:
        backs.append(Peer(lambda _: INFO, first.port))

    client = HttpClient(first.address, "", locate=come_back)  # asked after the refusal, before the next attempt
    assert info(client).version == "1"
    backs[0].close()


def test_a_server_that_moved_is_found() -> None:
    """After a refused connection the client asks where the SuperLink is now."""
    gone = Peer(lambda _: INFO)
    gone.close()
    with peer(INFO) as server:
        client = HttpClient("http://127.0.0.1:1", "", locate=lambda: server.address)
        assert info(client).version == "1"
        assert client.address == server.address


def test_patience_ends() -> None:
    """A SuperLink that stays away is reported with its address and what to do, not before patience is at its end."""
    gone = Peer(lambda _: INFO)
    gone.close()
    begin = time.monotonic()
    with pytest.raises(
        SuperLinkUnreachable, match=f"{gone.address} does not respond .*refused.* Check that it is running"
    ):
        info(HttpClient(gone.address, "", patience=0.2))
    assert 0.2 <= time.monotonic() - begin < 2


def test_a_silent_server_is_given_up() -> None:
    """A server that takes the request and says nothing counts as unreachable."""
    done = threading.Event()

    def answer(_: Call) -> Cut:
        done.wait(5)
        return Cut()

    with answering(answer) as server:
        client = HttpClient(server.address, "", patience=0, silence=0.1)
        with pytest.raises(SuperLinkUnreachable, match="timed out"):
            info(client)
        done.set()


def test_closing_ends_a_wait_for_a_retry() -> None:
    """`close` wakes a thread that waits for its next attempt, though its patience is without end."""
    gone = Peer(lambda _: INFO)
    gone.close()
    client = HttpClient(gone.address, "", patience=float("inf"))
    errors: list[UmbelError] = []

    def call() -> None:
        try:
            info(client)
        except SuperLinkUnreachable as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    client.close()
    thread.join(5)
    assert len(errors) == 1


def test_a_problem_becomes_its_error() -> None:
    """A problem document is raised as the error of its code, with its detail and hint."""
    answer = problem(404, "not-found", "There is no run 7.", "See umbel list.")
    with peer(answer) as server, pytest.raises(NotFound) as caught:
        info(HttpClient(server.address, ""))
    assert (caught.value.message, caught.value.hint) == ("There is no run 7.", "See umbel list.")


@pytest.mark.parametrize(
    ("status", "error"), [("403 Forbidden", PermissionRefused), ("404 Not Found", NotFound), ("500 Bad", UmbelError)]
)
def test_an_error_without_a_problem_document_keeps_its_meaning(status: str, error: type[UmbelError]) -> None:
    """What a proxy in between answers becomes the general error of its status."""
    with peer(ok(b"<html>", status)) as server, pytest.raises(error, match="answered") as caught:
        info(HttpClient(server.address, ""))
    assert type(caught.value) is error


def test_something_else_on_the_port_is_named() -> None:
    """An answer that is not HTTP, or not what a SuperLink says, is reported as such at once."""
    with peer(b"SSH-2.0-x\r\n\r\n") as server, pytest.raises(SuperLinkUnreachable):
        info(HttpClient(server.address, ""))
    for body in (b'["hello"]', b"<html>", b'{"version":"\xff"}'):
        with (
            peer(ok(body)) as server,
            pytest.raises(SuperLinkUnreachable, match="is not a SuperLink of a compatible version"),
        ):
            info(HttpClient(server.address, ""))


def test_an_empty_answer_is_none() -> None:
    """204 without a body is None where None is expected."""
    with peer(b"HTTP/1.1 204 No Content\r\n\r\n") as server:
        assert HttpClient(server.address, "").call("POST", "/x", NoneType) is None


@pytest.mark.parametrize(
    "answer",
    [ok(b"x" * 100), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n"],
)
def test_an_answer_has_a_limit(answer: bytes) -> None:
    """An answer over the limit is refused, whether it says its size or not; the client can be used afterwards."""
    with peer(answer, INFO) as server:
        client = HttpClient(server.address, "")
        with pytest.raises(TooLarge):
            client.exchange(Request("GET", "/"), lambda response: read_answer(response, 99))
        assert info(client).version == "1"


def test_a_refusal_before_the_body_has_arrived_is_heard() -> None:
    """A server that answers and closes while the body is still on its way is heard, not taken for a cut."""
    refusal = problem(413, "too-large", "Too large.")

    def answer(call: Call) -> Cut:
        return Cut(refusal)

    block = b"x" * http.BLOCK
    with answering(answer) as server:
        client = HttpClient(server.address, "", patience=0)
        sent = Request("PUT", "/", lambda: [block] * 64, 0)  # the peer reads no byte of the body
        with pytest.raises(TooLarge, match=r"Too large\."):
            client.exchange(_with_length(sent, 64 * http.BLOCK, server), read_answer)


def _with_length(request: Request, length: int, server: Peer) -> Request:
    # The peer reads as many bytes as X-Read says, not as many as Content-Length does.
    return Request(request.method, request.path, request.blocks, length, headers={"X-Read": "0"})


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ftp://host", "http://", "http://host/path", "http://h:port", ""])
def test_an_address_is_checked(address: str) -> None:
    """An address of another form is refused when the client is made."""
    with pytest.raises(ConfigError, match="is not the address of a SuperLink"):
        HttpClient(address, "")
