"""Downloads of reply contents in the background, through temporary files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.http_peer import Answer, Call, Peer, ok, problem
from umbel.app import ArrayRecord, RecordDict
from umbel.deployment.transfer import ContentFetcher
from umbel.engine.client_state import RetryWhileDiskFull
from umbel.errors import NotFound
from umbel.wire.http import HttpClient
from umbel.wire.messages import CHUNK, ContentRef, content_id
from umbel.wire.records import pack


class Shelf:
    """A SuperLink's object store; `got` lists the digests that were downloaded."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._peer = Peer(self._answer)
        self.address, self.close = self._peer.address, self._peer.close

    def put(self, content: RecordDict) -> ContentRef:
        """Store a content in chunks."""
        data = b"".join(pack(content))
        chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
        digests = [hashlib.sha256(chunk).hexdigest() for chunk in chunks]
        self.objects |= dict(zip(digests, chunks, strict=True))
        return ContentRef(size=len(data), chunks=digests)

    @property
    def got(self) -> list[str]:
        """The objects that were downloaded, in order."""
        return [call.path.rpartition("/")[2] for call in self._peer.calls]

    def _answer(self, call: Call) -> Answer:
        digest = call.path.rpartition("/")[2]
        return ok(self.objects[digest]) if digest in self.objects else problem(404, "not-found", "gone")


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """An object store."""
    one = Shelf()
    yield one
    one.close()


@pytest.fixture
def contents(shelf: Shelf, tmp_path: Path) -> Iterator[ContentFetcher]:
    """A fetcher that downloads from the store."""
    one = ContentFetcher(HttpClient(shelf.address, "", patience=0), tmp_path / "replies", RetryWhileDiskFull(0.0))
    yield one
    one.close()


def model(start: float) -> RecordDict:
    """A model of two chunks."""
    return RecordDict({"arrays": ArrayRecord([np.arange(start, start + 700_000.0)])})


def files(tmp_path: Path) -> list[Path]:
    """The names of the files on disk."""
    return list((tmp_path / "replies").glob("*"))


def test_a_content_is_fetched_and_mapped(shelf: Shelf, contents: ContentFetcher, tmp_path: Path) -> None:
    """The arrays are correct and writable, and no file remains."""
    one, two = shelf.put(model(0.0)), shelf.put(model(5.0))
    contents.fetch(one)
    contents.fetch(two)
    for start, reference in ((0.0, one), (5.0, two)):
        array = contents.open(reference).array_records["arrays"].to_numpy_ndarrays()[0]
        assert np.array_equal(array, np.arange(start, start + 700_000.0))
        array += 1
    assert files(tmp_path) == []


def test_a_shared_content_is_fetched_once(shelf: Shelf, contents: ContentFetcher, tmp_path: Path) -> None:
    """Users of the same content do not see each other's changes."""
    reference = shelf.put(model(0.0))
    contents.fetch(reference)
    contents.fetch(reference)
    first = contents.open(reference).array_records["arrays"].to_numpy_ndarrays()[0]
    first += 1
    second = contents.open(reference).array_records["arrays"].to_numpy_ndarrays()[0]
    assert second[0] == 0.0
    assert sorted(shelf.got) == sorted(reference.chunks)
    assert files(tmp_path) == []


def test_the_download_of_an_earlier_attempt_is_reused(shelf: Shelf, contents: ContentFetcher, tmp_path: Path) -> None:
    """The existing file is verified, and only damaged chunks are downloaded again."""
    reference = shelf.put(model(0.0))
    folder = tmp_path / "replies"
    folder.mkdir()
    data = bytearray(b"".join(shelf.objects[digest] for digest in reference.chunks))
    data[CHUNK + 10] ^= 0xFF
    (folder / content_id(reference)).write_bytes(data)
    contents.fetch(reference)
    array = contents.open(reference).array_records["arrays"].to_numpy_ndarrays()[0]
    assert np.array_equal(array, np.arange(700_000.0))
    assert shelf.got == reference.chunks[1:]


def test_a_released_content_leaves_no_file(shelf: Shelf, contents: ContentFetcher, tmp_path: Path) -> None:
    """It can be fetched again later."""
    reference = shelf.put(model(0.0))
    contents.fetch(reference)
    contents.fetch(reference)
    contents.open(reference)
    contents.release(reference)
    assert files(tmp_path) == []
    contents.fetch(reference)
    assert "arrays" in contents.open(reference)


def test_a_missing_content_is_an_error(shelf: Shelf, contents: ContentFetcher) -> None:
    """The failed content is dropped and can be requested again."""
    reference = shelf.put(model(0.0))
    kept = dict(shelf.objects)
    shelf.objects.clear()
    contents.fetch(reference)
    with pytest.raises(NotFound):
        contents.open(reference)
    shelf.objects.update(kept)
    contents.fetch(reference)
    assert "arrays" in contents.open(reference)
