"""The state directory, the key and the retry budget of a SuperNode."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from umbel.errors import ConfigError, Conflict
from umbel.supernode.jobs import RetryBudget
from umbel.supernode.state import StateDir, load_key, own_key

PEM, OPENSSH = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
PLAIN = serialization.NoEncryption()


def test_only_the_owner_can_access_the_state_directory(tmp_path: Path) -> None:
    """Every directory that is created has mode 700."""
    state = StateDir(tmp_path / "a" / "b")
    state.begin_run(7)
    for path in (state.root, state.contents, state.spool, *state.root.glob("runs/*")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_one_process_at_a_time_holds_the_lock(tmp_path: Path) -> None:
    """A second lock raises Conflict until the first is released."""
    with StateDir(tmp_path).lock(), pytest.raises(Conflict, match=str(tmp_path)):
        StateDir(tmp_path).lock()
    StateDir(tmp_path).lock().close()


def test_runs_are_kept_until_they_are_removed(tmp_path: Path) -> None:
    """The directory of a run, with the clients' state, stays until the run is removed; removing an unknown run does nothing."""
    state = StateDir(tmp_path)
    for run_id in (7, 8):
        state.begin_run(run_id)
        state.client_state(run_id).mkdir()
    assert StateDir(tmp_path).runs() == [7, 8]
    for run_id in (7, 9):
        state.remove_run(run_id)
    assert state.runs() == [8]


def test_an_unusable_directory_is_named(tmp_path: Path) -> None:
    """The error contains the path."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/state"):
        StateDir(tmp_path / "file" / "state")


def test_the_generated_key_is_reused(tmp_path: Path) -> None:
    """The key is generated once, readable by the owner only."""
    key = own_key(tmp_path / "key.pem").public_key()
    assert own_key(tmp_path / "key.pem").public_key() == key
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_openssh_and_pkcs8_keys_are_read(tmp_path: Path) -> None:
    """A key loads from either file format."""
    key = Ed25519PrivateKey.generate()
    for form in (OPENSSH, serialization.PrivateFormat.PKCS8):
        (tmp_path / "key").write_bytes(key.private_bytes(PEM, form, PLAIN))
        assert load_key(tmp_path / "key").public_key() == key.public_key()


def test_unusable_keys_have_distinct_errors(tmp_path: Path) -> None:
    """A missing file, an invalid file, another type of key and a key with a password have different messages."""
    secret = serialization.BestAvailableEncryption(b"secret")
    ours, other = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())
    pkcs8 = serialization.PrivateFormat.PKCS8
    for data, said in [
        (None, "cannot be read"),
        (b"nonsense", "not a private key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "not a private key"),
        (other.private_bytes(PEM, pkcs8, PLAIN), "not an Ed25519 key"),
        (ours.private_bytes(PEM, pkcs8, secret), "protected by a password"),
    ]:
        if data is not None:
            (tmp_path / "key").write_bytes(data)
        with pytest.raises(ConfigError, match=said):
            load_key(tmp_path / "key")


def test_consecutive_failures_are_limited() -> None:
    """A success resets the count; without a limit, retries never end."""
    budget = RetryBudget(2, float("inf"))
    assert [budget.record_failure(0) for _ in range(3)] == [True, True, False]
    budget.reset()
    assert budget.record_failure(0)
    endless = RetryBudget(None, float("inf"))
    assert all(endless.record_failure(float(at)) for at in range(1000))


def test_the_time_without_success_is_limited() -> None:
    """Time counts from the first failure after a success."""
    budget = RetryBudget(None, 10.0)
    assert [budget.record_failure(at) for at in (100.0, 109.0, 110.0)] == [True, True, False]
    budget.reset()
    assert budget.record_failure(200.0)
