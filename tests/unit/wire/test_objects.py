"""Objects over HTTP, as both clients send and fetch them."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.support.http_peer import Call, Cut, answering, json_answer, ok, peer, problem
from umbel.errors import NotFound, ObjectInvalid, StorageFull
from umbel.wire import objects
from umbel.wire.control import ControlClient
from umbel.wire.programs import RuntimeClient

CREATED = ok(status="201 Created")
DATA = bytes(range(256)) * 1024
DIGEST = hashlib.sha256(DATA).hexdigest()
MISSING, KNOWN = json_answer({"digests": [DIGEST]}), json_answer({"digests": []})
ASKED = f'{{"digests":["{DIGEST}"]}}'.encode()


def test_parts_arrive_as_their_concatenation() -> None:
    """Buffers of every kind, an empty one and a matrix among them, are stored as one object."""
    parts: list[bytes | memoryview] = [
        b"head",
        memoryview(b""),
        np.arange(6, dtype="<f4").reshape(2, 3).data,
        np.empty((0, 3)).data,
    ]
    joined = b"".join(bytes(part) for part in parts)
    with peer(CREATED) as server:
        digest = RuntimeClient(server.address, "").put_object(parts)
    assert digest == hashlib.sha256(joined).hexdigest()
    assert [(call.method, call.path, call.body) for call in server.calls] == [("PUT", f"/api/objects/{digest}", joined)]


def test_a_known_object_does_not_travel() -> None:
    """Before a large object is sent the SuperLink is asked for it; if it has it, nothing is sent."""
    with peer(KNOWN) as server:
        assert RuntimeClient(server.address, "").put_object([DATA]) == DIGEST
    assert [(call.path, call.body) for call in server.calls] == [("/api/objects/missing", ASKED)]


def test_an_unknown_object_travels_over_the_same_connection() -> None:
    """A large object that is not known follows the question."""
    with peer(MISSING, CREATED) as server:
        assert RuntimeClient(server.address, "").put_object([DATA]) == DIGEST
    assert [(call.method, call.connection) for call in server.calls] == [("POST", 0), ("PUT", 0)]
    assert server.calls[1].body == DATA


def test_a_file_and_bytes_are_put_alike(tmp_path: Path) -> None:
    """`put_object` of the Control client takes bytes or a path, also an empty file."""
    (tmp_path / "file").write_bytes(DATA)
    (tmp_path / "empty").touch()
    with peer(MISSING, CREATED) as server:
        client = ControlClient(server.address, "")
        assert client.put_object(tmp_path / "file") == DIGEST
        assert client.put_object(b"abc") == hashlib.sha256(b"abc").hexdigest()
        assert client.put_object(tmp_path / "empty") == hashlib.sha256().hexdigest()
    assert [call.body for call in server.calls if call.method == "PUT"] == [DATA, b"abc", b""]


def test_a_put_that_is_cut_is_sent_again_whole(tmp_path: Path) -> None:
    """A body from a file starts over for each attempt."""
    (tmp_path / "file").write_bytes(DATA)
    with peer(MISSING, Cut(), CREATED) as server:
        ControlClient(server.address, "").put_object(tmp_path / "file")
    assert [call.body for call in server.calls] == [ASKED, DATA, DATA]


def test_an_object_is_verified(tmp_path: Path) -> None:
    """Bytes that do not have the digest they were asked by are refused, and leave no file."""
    with peer(ok(b"other")) as server:
        client = RuntimeClient(server.address, "")
        with pytest.raises(ObjectInvalid, match=DIGEST):
            client.get_object(DIGEST)
        with pytest.raises(ObjectInvalid, match=DIGEST):
            client.get_object_to(DIGEST, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_an_object_is_fetched_into_memory_or_into_a_file(tmp_path: Path) -> None:
    """Both ways give the object's bytes; folders on the way are made."""
    with peer(ok(DATA)) as server:
        assert RuntimeClient(server.address, "").get_object(DIGEST) == DATA
        ControlClient(server.address, "").download(DIGEST, tmp_path / "a" / "file")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "a").iterdir()] == [("file", DATA)]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_is_cut_goes_on_where_it_was(tmp_path: Path, ranges: bool) -> None:
    """Each attempt asks for what is missing; a server that sends all again is understood too."""

    def answer(call: Call) -> bytes | Cut:
        start = int(call.headers.get("range", "bytes=0-")[6:-1])
        if not ranges:
            return Cut(ok(DATA)[:-100]) if not start else ok(DATA)
        whole = ok(DATA[start:], "206 Partial Content" if start else "200 OK")
        return Cut(whole[:100_000]) if start < 150_000 else whole

    with answering(answer) as server:
        ControlClient(server.address, "").download(DIGEST, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA
    assert len(server.calls) == (3 if ranges else 2)


def test_a_missing_object_leaves_what_was_there(tmp_path: Path) -> None:
    """A download that fails does not touch the file of that name."""
    (tmp_path / "file").write_text("old")
    with peer(problem(404, "not-found", "No such object.")) as server, pytest.raises(NotFound):
        ControlClient(server.address, "").download(DIGEST, tmp_path / "file")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space left while downloading is StorageFull, not a lost connection."""

    def full(download: objects._Download, response: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(objects._Download, "accept", full)
    with peer(ok(DATA)) as server, pytest.raises(StorageFull, match="No disk space left for"):
        ControlClient(server.address, "").download(DIGEST, tmp_path / "file")
