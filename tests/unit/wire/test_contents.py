"""Contents over HTTP: what travels, what does not, and what a cut costs."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from tests.support.http_peer import Answer, Call, Cut, ok
from tests.support.object_store import Store, store
from umbel.errors import NotFound, ObjectInvalid, StorageFull, SuperLinkUnreachable
from umbel.wire import contents, messages
from umbel.wire.http import HttpClient
from umbel.wire.messages import ContentRef, content_id

CHUNK = 1000  # bytes of a chunk in these tests


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks, blocks and inline contents small enough for quick tests."""
    for module in (contents, messages):
        monkeypatch.setattr(module, "CHUNK", CHUNK)
        monkeypatch.setattr(module, "INLINE_LIMIT", 100)
    monkeypatch.setattr(contents, "BLOCK", 300)


def data_of(chunks: float, seed: int = 0) -> bytes:
    """That many chunks of bytes, all different."""
    return np.random.default_rng(seed).bytes(int(chunks * CHUNK))


def split(data: bytes) -> list[bytes]:
    """The chunks of `data`."""
    return [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]


def client_of(server: Store, patience: float = 10.0) -> HttpClient:
    """A client of the store."""
    return HttpClient(server.peer.address, "", patience=patience)


def ref_of(server: Store, data: bytes) -> ContentRef:
    """The reference of a content that the store has."""
    return ContentRef(size=len(data), chunks=server.add(*split(data)))


@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_small_content_travels_in_its_reference(size: int, tmp_path: Path) -> None:
    """Nothing is asked and nothing sent, up or down."""
    (tmp_path / "in").write_bytes(bytes(size))
    with store() as server:
        ref = contents.upload(client_of(server), [bytes(size // 2), memoryview(bytes(size - size // 2))])
        assert (
            ref == contents.upload_file(client_of(server), tmp_path / "in") == ContentRef(size=size, data=bytes(size))
        )
        contents.download(client_of(server), ref, tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == contents.read(client_of(server), ref) == bytes(size)
    assert server.peer.calls == []


@pytest.mark.parametrize("chunks", [0.3, 1, 2.5, 45.2, 130])
def test_a_large_content_goes_up_and_comes_down(chunks: float, tmp_path: Path) -> None:
    """From buffers and from a file alike, into a file and into memory: the same bytes, each chunk sent once."""
    data = data_of(chunks)
    (tmp_path / "in").write_bytes(data)
    parts: list[bytes | memoryview] = [data[:7], memoryview(b""), memoryview(data)[7:900], data[900:1100], data[1100:]]
    with store() as server:
        ref = contents.upload(client_of(server), parts, query="message=m")
        assert ref.chunks == [hashlib.sha256(chunk).hexdigest() for chunk in split(data)]
        assert {call.path.partition("?")[2] for call in server.peer.calls} == {"message=m"}
        assert contents.upload_file(client_of(server), tmp_path / "in") == ref
        assert server.count("PUT") == len(split(data))
        contents.download(client_of(server), ref, tmp_path / "deep" / "out")
        assert (tmp_path / "deep" / "out").read_bytes() == contents.read(client_of(server), ref) == data
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_only_missing_chunks_travel() -> None:
    """Chunks that are there, and repeated ones, are not sent."""
    data = data_of(1) * 3 + data_of(2, seed=1)
    with store() as server:
        server.add(split(data)[4])
        contents.upload(client_of(server), [data])
        assert [call.body for call in server.peer.calls if call.method == "PUT"] == [data[:CHUNK], split(data)[3]]


def test_progress_counts_bytes_to_the_end(tmp_path: Path) -> None:
    """Both ways it grows and ends at the size, whatever was there already."""
    data, up, down = data_of(12.5), list[tuple[int, int]](), list[tuple[int, int]]()
    with store() as server:
        server.add(split(data)[3])
        ref = contents.upload(client_of(server), [data], on_progress=lambda *now: up.append(now))
        contents.download(client_of(server), ref, tmp_path / "out", on_progress=lambda *now: down.append(now))
    for told in (up, down):
        assert told == sorted(told)
        assert told[-1] == (len(data), len(data))
        assert len({done for done, _ in told}) > 10


def test_what_progress_raises_ends_a_transfer(tmp_path: Path) -> None:
    """A receiver can cancel a content there; no further chunks follow."""

    def stop(done: int, total: int) -> NoReturn:
        raise KeyError(done)

    with store() as server:
        ref = ref_of(server, data_of(50))
        with pytest.raises(KeyError):
            contents.download(client_of(server), ref, tmp_path / "out", on_progress=stop)
        with pytest.raises(KeyError):
            contents.upload(client_of(server), [data_of(50, seed=1)], on_progress=stop)
        assert server.count("GET") <= 10
        assert server.count("PUT") <= 10
    assert not (tmp_path / "out").exists()


def test_a_download_goes_on_with_what_an_earlier_one_left(tmp_path: Path) -> None:
    """A process that is started again fetches only the chunks that are not in the file yet."""
    data = data_of(20)

    def half(call: Call, answer: bytes) -> Answer | None:
        return Cut() if server.count("GET") > 10 else None

    with store(half) as server:
        ref = ref_of(server, data)
        with pytest.raises(SuperLinkUnreachable):
            contents.download(client_of(server, 0.01), ref, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["out.part"]
    with store() as server:
        ref = ref_of(server, data)
        contents.download(client_of(server), ref, tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == data
        assert 8 <= server.count("GET") <= 12


def test_an_upload_goes_on_where_it_was_cut() -> None:
    """Only the chunk that was on its way is sent again."""
    data = data_of(9)

    def cut(call: Call, answer: bytes) -> Answer | None:
        return Cut() if call.method == "PUT" and server.count("PUT") == 4 else None

    with store(cut) as server:
        contents.upload(client_of(server), [data])
        assert server.count("PUT") == 10
        assert len(server.objects) == 9


def test_a_chunk_that_is_cut_is_fetched_again(tmp_path: Path) -> None:
    """The bytes that came before the cut do no harm."""
    data = data_of(3)

    def cut(call: Call, answer: bytes) -> Answer | None:
        return Cut(answer[:-400]) if server.count("GET") == 2 else None

    with store(cut) as server:
        contents.download(client_of(server), ref_of(server, data), tmp_path / "out")
        assert server.count("GET") == 4
    assert (tmp_path / "out").read_bytes() == data


def test_chunks_that_are_at_hand_do_not_travel(tmp_path: Path) -> None:
    """They are copied, if they are what they should be."""
    data = data_of(4)
    first, _, third, _ = split(data)

    with store() as server:
        ref = ref_of(server, data)
        at_hand = dict(zip(ref.chunks, (first, third, third[:-1]), strict=False))
        known = {digest: memoryview(chunk) for digest, chunk in at_hand.items()}
        contents.download(client_of(server), ref, tmp_path / "out", known=known.get)
        assert server.count("GET") == 3
    assert (tmp_path / "out").read_bytes() == data


@pytest.mark.parametrize("wrong", [b"x" * CHUNK, b"x" * (CHUNK - 1), b"x" * (CHUNK + 1)])
def test_a_chunk_of_other_bytes_is_refused(wrong: bytes, tmp_path: Path) -> None:
    """Whether their number is right or not; the file does not appear."""
    with store(lambda call, answer: ok(wrong)) as server:
        ref = ref_of(server, data_of(2))
        with pytest.raises(ObjectInvalid, match=ref.chunks[0]):
            contents.download(client_of(server), ref, tmp_path / "out")
        with pytest.raises(ObjectInvalid, match=ref.chunks[0]):
            contents.read(client_of(server), ref)
    assert not (tmp_path / "out").exists()


def test_a_chunk_that_is_gone_is_not_found(tmp_path: Path) -> None:
    """The error says so."""
    with store() as server:
        ref = ref_of(server, data_of(20))
        server.objects.pop(ref.chunks[7])
        with pytest.raises(NotFound):
            contents.download(client_of(server), ref, tmp_path / "out")


def test_a_false_reference_is_refused(tmp_path: Path) -> None:
    """Before anything is fetched or written."""
    for false in (ContentRef(size=5000, chunks=["ab"]), ContentRef(size=CHUNK, chunks=["../../x"])):
        with store() as server, pytest.raises(ObjectInvalid):
            contents.download(client_of(server), false, tmp_path / "out")
        assert server.peer.calls == []
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space left while downloading is StorageFull, not a lost connection."""

    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with store() as server:
        ref = ref_of(server, data_of(2))
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(StorageFull, match="No disk space left for"):
            contents.download(client_of(server), ref, tmp_path / "out")


def test_a_file_that_becomes_shorter_is_refused(tmp_path: Path) -> None:
    """Instead of waiting for its end forever."""
    file = tmp_path / "in"
    file.write_bytes(data_of(3))
    with store(lambda call, answer: os.truncate(file, 10)) as server, pytest.raises(ObjectInvalid, match="truncated"):
        contents.upload_file(client_of(server), file)


def test_a_content_has_its_name_whatever_way_it_went() -> None:
    """Buffers and their concatenation have the same reference, and so the same id."""
    data = data_of(5.5)
    with store() as server:
        whole = contents.upload(client_of(server), [data])
        pieces = contents.upload(client_of(server), [data[at : at + 33] for at in range(0, len(data), 33)])
    assert content_id(whole) == content_id(pieces)
