"""Objects over HTTP."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from typing import IO

import pytest

from tests.integration.superlink.served import USER, Served, problem, until
from umbel.superlink.objects import directory


async def test_an_object_is_stored_once_and_read_back(served: Served) -> None:
    """The first put answers 201, the second 200; the bytes come back as they were."""
    data = os.urandom(3_000_000)
    path = f"/api/objects/{hashlib.sha256(data).hexdigest()}"
    assert [(await served.request("PUT", path, data)).status_code for _ in range(2)] == [201, 200]
    read = await served.request("GET", path)
    assert (read.content, read.headers["content-length"]) == (data, "3000000")
    head = await served.request("HEAD", path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "3000000")


@pytest.mark.parametrize(
    ("range", "status", "expected"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=8-100", 206, b"89"),
        ("bytes=-100", 200, b"0123456789"),
    ],
)
async def test_a_part_of_an_object(served: Served, range: str, status: int, expected: bytes) -> None:
    """A Range header brings only that part, so that a download can continue where it was cut."""
    digest = await served.put(b"0123456789")
    read = await served.request("GET", f"/api/objects/{digest}", Range=range)
    assert (read.status_code, read.content) == (status, expected)


@pytest.mark.parametrize(
    ("range", "status"), [("bytes=10-", 416), ("bytes=5-4", 416), ("bytes=-", 422), ("rows=1-2", 422)]
)
async def test_a_range_outside_the_object(served: Served, range: str, status: int) -> None:
    """A range that the object does not have, or that is none, is a problem."""
    digest = await served.put(b"0123456789")
    found = await served.refused("GET", f"/api/objects/{digest}", Range=range)
    assert (found.status, found.code) == (status, "request-invalid")


async def test_wrong_bytes_leave_nothing(served: Served) -> None:
    """Bytes with another digest are refused and not kept."""
    digest = hashlib.sha256(b"right").hexdigest()
    assert (await served.refused("PUT", f"/api/objects/{digest}", b"wrong")).code == "object-invalid"
    assert not served.link.objects.has(digest)
    assert list(served.link.objects.incoming.iterdir()) == []


async def test_an_upload_cut_at_half_leaves_nothing(served: Served) -> None:
    """A client that dies within an upload leaves no object and no temporary file."""
    data = os.urandom(4_000_000)
    digest = hashlib.sha256(data).hexdigest()
    arrived = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield data[:2_000_000]
        await until(lambda: any(path.stat().st_size for path in served.link.objects.incoming.iterdir()))
        arrived.set()
        await asyncio.Event().wait()

    headers = {"Authorization": f"Bearer {USER}", "Content-Length": str(len(data))}
    upload = asyncio.create_task(served.client.put(f"/api/objects/{digest}", content=half(), headers=headers))
    await arrived.wait()
    upload.cancel()
    await asyncio.gather(upload, return_exceptions=True)
    await until(lambda: not list(served.link.objects.incoming.iterdir()))
    assert not served.link.objects.has(digest)
    assert await served.put(data) == digest


async def test_a_full_disk_refuses_and_goes_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without space an upload is answered with 507 and leaves nothing; with space again it succeeds."""
    data = os.urandom(2_500_000)
    digest = hashlib.sha256(data).hexdigest()
    written = 0

    def no_space(file: IO[bytes], block: bytes | bytearray) -> None:
        nonlocal written
        written += len(block)
        if written > 1_500_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(block)

    with monkeypatch.context() as patch:
        patch.setattr(directory, "write_all", no_space)
        found = problem(await served.request("PUT", f"/api/objects/{digest}", data))
    assert (found.status, found.code) == (507, "storage-full")
    assert not served.link.objects.has(digest)
    assert list(served.link.objects.incoming.iterdir()) == []
    assert await served.put(data) == digest


async def test_the_same_object_sent_twice_at_the_same_time(served: Served) -> None:
    """Two uploads of the same bytes at once both succeed and leave one object."""
    data = os.urandom(1_500_000)
    digests = await asyncio.gather(*(served.put(data) for _ in range(4)))
    assert len(set(digests)) == 1
    assert list(served.link.objects.incoming.iterdir()) == []
