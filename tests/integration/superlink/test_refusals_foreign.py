"""Refused access to the objects of other nodes and runs."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from collections.abc import Callable

import pytest

from tests.integration.superlink.fleet import Grid, Site
from tests.integration.superlink.served import Served
from tests.support.apps import write_app
from umbel.bundle import build_fab
from umbel.bundle.limits import MAX_TOTAL_BYTES
from umbel.wire.api import RunList, StartRun
from umbel.wire.messages import CHUNK, ContentRef, ReplyMessage

BOMB_BYTES = 4 * MAX_TOTAL_BYTES


async def test_an_object_of_another_run_is_refused(served: Served) -> None:
    """A task reads what its own run has put, and nothing that only another run has."""
    await served.start()
    first = await served.begin()
    digest = await served.put(b"of the first run", first.token)
    await served.start()
    second = await served.begin()
    found = await served.refused("GET", f"/api/objects/{digest}", token=second.token)
    assert (found.status, found.code) == (403, "permission-refused")
    assert (await served.request("GET", f"/api/objects/{digest}", token=first.token)).content == b"of the first run"


async def test_a_node_gets_what_is_for_it(served: Served) -> None:
    """A node reads its messages' chunks, but neither those of other nodes' messages nor the bundle of a run that it does not take part in."""
    run = await served.start()
    task = await served.begin()
    grid, mine, other = Grid(served, task), Site(served), Site(served)
    await mine.activate()
    await other.activate()
    model = b"m" * 70_000
    digest = await served.put(model, task.token)
    content = ContentRef(size=len(model), chunks=[digest])
    await grid.push(grid.exchange([mine.node_id], content))
    (delivery,) = (await mine.pull()).messages
    assert (await mine.request("GET", f"/api/objects/{digest}")).content == model
    for path in (f"/api/objects/{digest}", f"/api/objects/{run.bundle.fab_hash}", f"/api/fleet/runs/{run.run_id}"):
        assert (await mine.request("GET", path)).status_code == 200
        assert (await other.refused("GET", path)).code == "permission-refused"
    data = b"an answer"
    target = f"/api/objects/{hashlib.sha256(data).hexdigest()}?message={delivery.message_id}"
    assert (await other.refused("PUT", target, data)).code == "permission-refused"
    said = ReplyMessage(session=other.session, message_id=delivery.message_id, content=ContentRef(size=1, data=b"x"))
    assert (await other.refused("POST", "/api/fleet/reply", said)).status in (403, 404, 409)
    assert (await grid.replies()).replies == []


FALSE_CONTENTS = {
    "neither bytes nor chunks": ContentRef(size=5),
    "both": ContentRef(size=1, data=b"x", chunks=["0" * 64]),
    "a size that is not that of its bytes": ContentRef(size=4, data=b"x"),
    "more bytes than go inside": ContentRef(size=70_000, data=b"x" * 70_000),
    "too few chunks": ContentRef(size=CHUNK + 1, chunks=["0" * 64]),
    "a path for a chunk": ContentRef(size=5, chunks=["../../../../etc/passwd"]),
    "capital letters": ContentRef(size=5, chunks=["A" * 64]),
    "a chunk that was not put": ContentRef(size=5, chunks=["0" * 64]),
    "a negative size": ContentRef(size=-1, chunks=[]),
    "more than memory": ContentRef(size=1 << 62, chunks=["0" * 64]),
}


@pytest.mark.parametrize("case", FALSE_CONTENTS)
async def test_a_false_content_is_refused(served: Served, case: str) -> None:
    """A reply whose content contradicts itself, or names what is not there, is refused; the message still waits for a good one."""
    await served.start()
    grid, site = Grid(served, await served.begin()), Site(served)
    await site.activate()
    (message,) = await grid.send([site])
    await site.take()
    said = ReplyMessage(session=site.session, message_id=message, content=FALSE_CONTENTS[case])
    found = await site.refused("POST", "/api/fleet/reply", said)
    assert (case, found.code) == (case, "object-invalid")
    assert await site.reply(message, b"a good one")


def with_file(name: str, data: bytes = b"x", mode: int = 0o100644) -> Callable[[zipfile.ZipFile], None]:
    """Adds one more file to a bundle."""

    def add(bundle: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        bundle.writestr(info, data)

    return add


def bomb(bundle: zipfile.ZipFile) -> None:
    """A file four times as large as a bundle may be, which is a quarter of a megabyte in the ZIP."""
    with bundle.open("zeros.json", "w", force_zip64=True) as file:
        for _ in range(BOMB_BYTES >> 24):
            file.write(bytes(1 << 24))


BAD_BUNDLES: dict[str, Callable[[zipfile.ZipFile], None]] = {
    "the folder above": with_file("../outside.py"),
    "deep above": with_file("client/../../../outside.py"),
    "an absolute path": with_file("/etc/cron.d/outside"),
    "another drive": with_file("C:\\outside.py"),
    "a link": with_file("link.py", b"/etc/passwd", stat.S_IFLNK | 0o777),
}


@pytest.mark.parametrize("case", BAD_BUNDLES)
async def test_a_bundle_that_reaches_out_is_refused(served: Served, case: str) -> None:
    """Paths out of the bundle, and links, start no run."""
    await refuse_bundle(served, BAD_BUNDLES[case])


async def test_a_zip_bomb_is_refused(served: Served) -> None:
    """A bundle that would grow far beyond the limit is refused without being unpacked."""
    await refuse_bundle(served, bomb)


async def refuse_bundle(served: Served, spoil: Callable[[zipfile.ZipFile], None]) -> None:
    """Start a run of a spoilt bundle, which must be refused as such."""
    data = io.BytesIO(build_fab(write_app(served.root / "app")).data)
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as bundle:
        spoil(bundle)
    fab_hash = await served.put(data.getvalue())
    found = await served.refused("POST", "/api/v1/runs", StartRun(fab_hash=fab_hash))
    assert (found.status, found.code) == (422, "bundle-invalid"), found.detail
    assert (await served.ask(RunList, "GET", "/api/v1/runs")).runs == []
