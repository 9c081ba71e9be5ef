"""The spool of replies on disk."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from umbel.errors import ObjectInvalid, StorageFull
from umbel.supernode.replies import Spool, Spooled
from umbel.wire.messages import ReplyError

SMALL = Spooled("a", 7, 1.5, data=b"x")
FAILED = Spooled("b", 7, error=ReplyError(code=2, reason="no"))
LARGE = Spooled("c", 8, size=4)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool with three replies."""
    spool = Spool(tmp_path)
    spool.content_path("c").write_bytes(b"1234")
    for reply in (SMALL, FAILED, LARGE):
        spool.keep(reply)
    return spool


def test_replies_survive_the_process(spool: Spool, tmp_path: Path) -> None:
    """Another process finds the replies, oldest first."""
    found = Spool(tmp_path).replies()
    assert sorted(found, key=lambda reply: reply.message_id) == [SMALL, FAILED, LARGE]


def test_a_dropped_reply_is_removed(spool: Spool, tmp_path: Path) -> None:
    """The content file is removed too; dropping a reply again does nothing."""
    for message in ("a", "b", "c", "c"):
        spool.drop(message)
    assert list(tmp_path.iterdir()) == []


def test_incomplete_replies_are_removed(spool: Spool, tmp_path: Path) -> None:
    """Damaged replies, replies without complete content, content without a reply and temporary files are removed."""
    (tmp_path / "a.reply").write_bytes(b"\xff\x00")
    (tmp_path / "c.content").write_bytes(b"123")
    (tmp_path / "d.content").write_bytes(b"1234")
    (tmp_path / "e.new").write_bytes(b"")
    (tmp_path / "b.reply").rename(tmp_path / "f.reply")
    assert Spool(tmp_path).replies() == []
    assert list(tmp_path.iterdir()) == []


def test_replies_do_not_survive_a_reboot(spool: Spool, tmp_path: Path) -> None:
    """After a power failure a file may look complete without being so; replies from before a reboot are discarded."""
    assert Spool(tmp_path, "another start of the machine").replies() == []


@pytest.mark.parametrize("name", ["", "../a", "a/b", "a.b", "x" * 65, "a\0"])
def test_an_id_that_is_not_a_file_name_is_rejected(spool: Spool, name: str) -> None:
    """Message IDs come from the network and must not lead outside the spool."""
    with pytest.raises(ObjectInvalid):
        spool.content_path(name)


@pytest.mark.parametrize(
    ("code", "expected"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, OSError)]
)
def test_a_full_disk_raises_storage_full(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, code: int, expected: type[Exception]
) -> None:
    """A full disk and an exhausted quota raise StorageFull; another error is passed on."""

    def fail(_path: Path, _data: bytes) -> int:
        raise OSError(code, "trouble")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(expected):
        spool.keep(SMALL)
