"""The program `umbel-supernode`."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.supernode.conftest import Node, StartNode, model
from tests.support.fake_superlink import FakeSuperLink
from tests.support.http_peer import problem
from umbel.wire.signatures import node_keyid


def test_a_key_is_made_at_the_first_start(superlink: FakeSuperLink, start: StartNode, tmp_path: Path) -> None:
    """It is its owner's alone, and the same at the next start."""
    first = start()
    superlink.reply(superlink.send(model()))
    first.end()
    start()
    superlink.reply(superlink.send(model(), sequence=2))
    assert len(superlink.sessions) == 1
    assert stat.S_IMODE((tmp_path / "node" / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "node").stat().st_mode) == 0o700


def test_a_given_key_is_used(superlink: FakeSuperLink, start: StartNode, tmp_path: Path) -> None:
    """In OpenSSH form, as ssh-keygen makes it."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    (tmp_path / "key").write_bytes(pem)
    start("--auth-supernode-private-key", str(tmp_path / "key"))
    superlink.reply(superlink.send(model()))
    assert list(superlink.sessions) == [node_keyid(key.public_key().public_bytes_raw())]


def test_two_cannot_work_in_one_directory(superlink: FakeSuperLink, start: StartNode) -> None:
    """The second says what to do, and the first continues."""
    start()
    superlink.reply(superlink.send(model()))
    second = start()
    assert "Another SuperNode is already using" in second.said()
    assert second.process.returncode == 8
    superlink.reply(superlink.send(model(), sequence=2))


def test_a_node_whose_key_is_used_elsewhere_ends(superlink: FakeSuperLink, start: StartNode, tmp_path: Path) -> None:
    """It says so, and its worker ends with it."""
    first = start()
    superlink.reply(superlink.send(model()))
    start("--auth-supernode-private-key", str(tmp_path / "node" / "key.pem"), state="other")
    superlink.wait(lambda: len(superlink.activated) == 2)
    assert "A newer session has begun" in first.said()
    assert first.process.returncode == 8
    superlink.reply(superlink.send(model(), sequence=2))


def test_a_key_that_is_refused_is_an_error(superlink: FakeSuperLink, start: StartNode) -> None:
    """With the SuperLink's words, and without a traceback."""
    superlink.interfere = lambda call: problem(401, "unauthenticated", "This key is not registered.", "Register it.")
    node = start()
    assert node.said().splitlines()[-1] == "umbel-supernode: This key is not registered. Register it."
    assert node.process.returncode == 9


@pytest.mark.parametrize("limit", [("--max-retries", "2"), ("--max-wait-time", "0.1")])
def test_patience_can_be_limited(superlink: FakeSuperLink, tmp_path: Path, limit: tuple[str, str]) -> None:
    """A SuperLink that is not there for too long is an error."""
    superlink.stop()
    node = Node(superlink.address, tmp_path / "node", *limit)
    assert "does not respond" in node.said().splitlines()[-1]
    assert node.process.returncode == 11
