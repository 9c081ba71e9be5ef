"""A SuperLink at several addresses, and what a client does when one of them fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.http_peer import Peer, answering, json_answer, ok, peer, problem
from umbel.cli.config import Connection
from umbel.errors import ConfigError, DatabaseUnavailable, SuperLinkUnreachable
from umbel.wire.api import ServerInfo
from umbel.wire.connection import Addresses
from umbel.wire.http import HttpClient

INFO = json_answer({"version": "1"})


def version(client: HttpClient) -> str:
    """Ask for something."""
    return client.call("GET", "/api/v1/info", ServerInfo).version


def test_one_goes_on_where_another_ended() -> None:
    """The first address is used until it fails, then the next one, at once and by every thread."""
    first = Peer(lambda _: INFO)
    with answering(lambda _: INFO) as second:
        client = HttpClient(f"{first.address}, {second.address}", "", patience=0)
        assert (version(client), client.address) == ("1", first.address)
        first.close()
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda _: version(client), range(8))) == ["1"] * 8
        assert client.address == second.address


def test_each_is_tried_before_patience_ends() -> None:
    """When no address answers the error names one of them; a false address among them is refused at once."""
    gone = [Peer(lambda _: INFO) for _ in range(2)]
    for one in gone:
        one.close()
    with pytest.raises(SuperLinkUnreachable, match=f"{gone[1].address} does not respond"):
        version(HttpClient(",".join(one.address for one in gone), "", patience=0))
    with pytest.raises(ConfigError):
        HttpClient("http://127.0.0.1:1,ftp://127.0.0.1:2", "")


def test_a_lost_database_is_waited_for() -> None:
    """A SuperLink without its database is asked again, or another one is; in the end the error says what it is."""
    lost = problem(503, "database-unavailable", "The database does not answer.")
    with peer(lost, lost, INFO) as server:
        assert version(HttpClient(server.address, "")) == "1"
    with answering(lambda _: lost) as server, answering(lambda _: INFO) as other:
        assert version(HttpClient(f"{server.address},{other.address}", "", patience=0)) == "1"
        with pytest.raises(DatabaseUnavailable):
            version(HttpClient(server.address, "", patience=0))


def test_a_proxy_without_a_superlink_is_waited_for() -> None:
    """What a proxy says while the SuperLink behind it starts again is no answer."""
    with peer(ok(b"<html>", "502 Bad Gateway"), INFO) as server:
        assert version(HttpClient(server.address, "")) == "1"


def test_threads_turn_together() -> None:
    """An address that was left by another thread already is not left twice."""
    addresses = Addresses("a,b, c")
    addresses.leave("a")
    addresses.leave("a")
    assert addresses.current == "b"
    addresses.leave("b")
    addresses.leave("c")
    assert (addresses.current, str(addresses)) == ("a", "a,b,c")


def test_each_address_of_a_connection_has_its_scheme() -> None:
    """Several addresses in config.toml are completed one by one."""
    connection = Connection("site", "one.example.org:9093, 127.0.0.1:9093")
    assert connection.url == "https://one.example.org:9093,http://127.0.0.1:9093"
