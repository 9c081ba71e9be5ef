"""The cache of message contents."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.support.object_store import Store, store
from umbel.supernode import cache
from umbel.supernode.cache import ContentCache
from umbel.wire import contents, messages
from umbel.wire.http import HttpClient
from umbel.wire.messages import ContentRef

CHUNK = 1000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make chunks small."""
    for module in (cache, contents, messages):
        monkeypatch.setattr(module, "CHUNK", CHUNK)


def data_of(seed: int, chunks: int = 3) -> bytes:
    """The bytes of a content."""
    return np.random.default_rng(seed).bytes(chunks * CHUNK)


class Node:
    """A cache and the object store from which it downloads."""

    def __init__(self, server: Store, directory: Path, capacity: int = 1 << 30) -> None:
        self.server = server
        self.cache = ContentCache(directory, capacity)
        self.client = HttpClient(server.peer.address, "")

    def get(self, data: bytes, run_id: int = 1) -> int:
        """Open a content, compare it, and return the number of chunks that were downloaded."""
        chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
        ref = ContentRef(size=len(data), chunks=self.server.add(*chunks))
        before = self.server.count("GET")
        fd = self.cache.open(self.client, run_id, ref, lambda done, total: None)
        try:
            assert os.pread(fd, len(data) + 1, 0) == data
        finally:
            os.close(fd)
        return self.server.count("GET") - before


def test_a_content_is_fetched_once(tmp_path: Path) -> None:
    """A cached content is not downloaded again, not even by the next process."""
    with store() as server:
        assert Node(server, tmp_path).get(data_of(1)) == 3
        node = Node(server, tmp_path)
        assert (node.get(data_of(1)), node.get(data_of(1))) == (0, 0)


def test_chunks_of_another_content_are_not_fetched(tmp_path: Path) -> None:
    """A content that shares chunks with a cached one downloads only the other chunks, also after a restart."""
    with store() as server:
        node = Node(server, tmp_path)
        node.get(data_of(1))
        assert node.get(data_of(1, 2) + data_of(2, 1)) == 1
        assert Node(server, tmp_path).get(data_of(3, 1) + data_of(1, 2)) == 1


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    """A file of an earlier process is verified before use; damaged chunks are downloaded again."""
    with store() as server:
        Node(server, tmp_path).get(data_of(1))
        (file,) = (path for path in tmp_path.iterdir() if not path.suffix)
        file.write_bytes(data_of(1)[:-1] + b"?")
        assert Node(server, tmp_path).get(data_of(1)) == 1
        file.write_bytes(b"short")
        assert Node(server, tmp_path).get(data_of(1)) == 3


def test_the_newest_contents_of_a_run_stay(tmp_path: Path) -> None:
    """A run's oldest contents are evicted beyond the limit; the contents of other runs stay."""
    with store() as server:
        node = Node(server, tmp_path)
        node.get(data_of(9), run_id=2)
        for seed in range(cache.MOST_OF_A_RUN):
            node.get(data_of(seed))
        for _ in range(cache.MOST_OF_A_RUN):
            assert node.get(data_of(0)) == 0
        node.get(data_of(5))
        assert node.get(data_of(1)) == 3
        assert node.get(data_of(9), run_id=2) == 0


def test_the_least_recently_used_content_is_evicted(tmp_path: Path) -> None:
    """Beyond the capacity, the least recently used content goes first; the newest stays, however large it is."""
    with store() as server:
        node = Node(server, tmp_path, 7 * CHUNK)
        for run_id in (1, 2, 1, 3):
            node.get(data_of(run_id), run_id)
            for number, path in enumerate(sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime)):
                os.utime(path, (number, number))
        assert node.get(data_of(1), 1) == 0
        assert node.get(data_of(2), 2) == 3
        node.get(data_of(4, 20), 4)
        assert node.get(data_of(4, 20), 4) == 0
        assert sum(path.stat().st_size for path in tmp_path.iterdir() if not path.suffix) == 20 * CHUNK


def test_the_contents_of_an_ended_run_are_removed(tmp_path: Path) -> None:
    """The contents of a run that has ended go; those of other runs stay."""
    with store() as server:
        node = Node(server, tmp_path)
        node.get(data_of(1), 1)
        node.get(data_of(2), 2)
        node.cache.end_run(1)
        node.cache.end_run(3)
        assert (node.get(data_of(2), 2), node.get(data_of(1), 1)) == (0, 3)


def test_abandoned_downloads_are_removed(tmp_path: Path) -> None:
    """Old incomplete downloads are removed at start-up; recent ones are kept, to be resumed."""
    old, new = tmp_path / "a.part", tmp_path / "b.part"
    for path in (old, new):
        path.touch()
    os.utime(old, (1, 1))
    with store() as server:
        Node(server, tmp_path)
    assert list(tmp_path.iterdir()) == [new]
