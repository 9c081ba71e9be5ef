"""TLS end to end, with certificates that `umbel certificate create` made."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support import simulation_runs
from tests.support.superlink_process import Program, program
from umbel.cli import certificates
from umbel.cli.main import main as umbel
from umbel.errors import ConfigError, PermissionRefused, SuperLinkUnreachable, TlsFailed, UmbelError
from umbel.superexec.main import main as superexec
from umbel.superlink.server import tls
from umbel.superlink.server.main import main as superlink
from umbel.wire.control import ControlClient
from umbel.wire.http import HttpClient


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> certificates.Made:
    """A certificate for this machine, and its authority."""
    return certificates.create(tmp_path_factory.mktemp("certificates"), ["127.0.0.1", "localhost"], 30)


def with_tls(made: certificates.Made, *more: str) -> list[str]:
    """The options of a SuperLink with a certificate."""
    files = ["--ssl-certfile", str(made.certificate), "--ssl-keyfile", str(made.key)]
    return [*files, "--ssl-ca-certfile", str(made.authority), *more]


@pytest.fixture(scope="module")
def secure(shared_home: Path, made: certificates.Made) -> Iterator[Program]:
    """A SuperLink that speaks TLS."""
    with program(shared_home, *with_tls(made)) as running:
        yield running


def client(running: Program, roots: Path | None, address: str = "") -> ControlClient:
    """A person's client from far away."""
    token = (running.home / "local" / "token").read_text()
    found = ControlClient(
        address or str(running.info["public_address"]), token, root_certificates=str(roots) if roots else None
    )
    found.http.patience = 0
    return found


def test_a_client_with_the_right_roots_is_answered(secure: Program, made: certificates.Made, tmp_path: Path) -> None:
    """Requests, uploads and downloads go over TLS, several on one connection; the token counts as ever."""
    far = client(secure, made.authority)
    assert far.address.startswith("https://127.0.0.1:")
    assert far.info().pid == secure.process.pid
    data = bytes(range(256)) * 20_000
    digest = far.put_object(data)
    copy = tmp_path / "copy"
    far.download(digest, copy)
    assert copy.read_bytes() == data
    with pytest.raises(UmbelError, match="token"):
        HttpClient(far.address, "wrong", root_certificates=made.authority).call("GET", "/api/v1/info", dict)


def test_this_machine_needs_no_certificate(secure: Program) -> None:
    """The programs of this machine find a plain address, on loopback alone, on its own port."""
    assert secure.address.startswith("http://127.0.0.1:")
    assert secure.address.rpartition(":")[2] != str(secure.info["public_address"]).rpartition(":")[2]
    assert secure.control().info().pid == secure.process.pid


def test_a_run_goes_through_a_superlink_with_tls(umbel_home: Path, made: certificates.Made) -> None:
    """Its own SuperExec and the app's process need nothing special: the run completes and the client follows it over TLS."""
    with program(umbel_home, *with_tls(made, "--simulation"), superexec="own") as running:
        far = client(running, made.authority)
        run = simulation_runs.wait(far, simulation_runs.start(far, num_server_rounds=1))
        assert (run.sub_status, run.cause) == ("completed", None)


def other_authority(made: certificates.Made, folder: Path) -> Path:
    """The certificate of an authority that has nothing to do with it."""
    return certificates.create(folder, ["localhost"], 30).authority


@pytest.mark.parametrize("roots", [other_authority, lambda made, folder: None])
def test_a_wrong_authority_is_refused(
    secure: Program, made: certificates.Made, tmp_path: Path, roots: Callable[[certificates.Made, Path], Path | None]
) -> None:
    """A client that trusts other authorities, or the system's, sends nothing; the error says whose certificate it was."""
    with pytest.raises(TlsFailed) as caught:
        client(secure, roots(made, tmp_path)).info()
    assert "127.0.0.1, localhost" in caught.value.message or "localhost, 127.0.0.1" in caught.value.message
    assert "Umbel federation authority" in caught.value.message
    assert "root-certificates" in str(caught.value.hint)


def test_a_wrong_host_name_is_refused(umbel_home: Path, tmp_path: Path) -> None:
    """A certificate for another name is refused, and the error says for which names it is."""
    elsewhere = certificates.create(tmp_path, ["superlink.example"], 30)
    with program(umbel_home, *with_tls(elsewhere)) as running:
        address = str(running.info["public_address"])
        with pytest.raises(TlsFailed, match=r"issued for superlink\.example by") as caught:
            client(running, elsewhere.authority, address).info()
    assert "names in the certificate" in str(caught.value.hint)


def test_a_plain_client_gets_no_answer(secure: Program, made: certificates.Made) -> None:
    """A client that forgot the s of https is told so."""
    plain = str(secure.info["public_address"]).replace("https", "http")
    with pytest.raises(SuperLinkUnreachable) as caught:
        client(secure, None, plain).info()
    assert f"use {secure.info['public_address']}" in str(caught.value.hint)


def test_a_superlink_without_tls_is_noticed(umbel_home: Path, made: certificates.Made) -> None:
    """A client that expects TLS does not speak to a SuperLink without it."""
    with program(umbel_home) as running, pytest.raises(TlsFailed, match="does not use TLS"):
        client(running, made.authority, running.address.replace("http", "https")).info()


def test_old_protocols_are_refused(made: certificates.Made) -> None:
    """TLS 1.1 is not spoken."""
    context = tls.server_context(made.certificate, made.key)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_the_command_line_uses_the_roots_of_a_connection(
    secure: Program,
    made: certificates.Made,
    umbel_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`umbel list NAME` goes over TLS with root-certificates and token-file of config.toml; without the roots it explains."""
    address = str(secure.info["public_address"]).removeprefix("https://")
    token = secure.home / "local" / "token"
    (umbel_home / "config.toml").write_text(
        f'[superlink.far]\naddress = "{address}"\nroot-certificates = "{made.authority}"\ntoken-file = "{token}"\n'
        f'[superlink.doubtful]\naddress = "https://{address}"\ntoken-file = "{token}"\n'
    )
    for name, code, words in (("far", 0, "There are no runs yet"), ("doubtful", TlsFailed.exit_code, "not trusted")):
        monkeypatch.setattr("sys.argv", ["umbel", "list", name])
        with pytest.raises(SystemExit) as ended:
            umbel()
        said = capsys.readouterr()
        assert (ended.value.code, words in said.out + said.err) == (code, True), said


def test_only_known_names_are_answered(umbel_home: Path, made: certificates.Made) -> None:
    """With TLS the names of the certificate are known, and those that were allowed; a foreign page's name is not."""
    with program(umbel_home, *with_tls(made, "--allowed-host", "superlink.lan")) as running:
        far = client(running, made.authority)
        for host in ("superlink.lan:9", "localhost"):
            far.http._fixed["Host"] = host
            assert far.info().pid == running.process.pid
        far.http._fixed["Host"] = "evil.example"
        with pytest.raises(PermissionRefused, match="is not a hostname of this SuperLink"):
            far.info()


def test_an_authority_is_used_again(made: certificates.Made, tmp_path: Path) -> None:
    """A second certificate in the same folder comes from the same authority: clients need nothing new. Keys are for the owner only."""
    folder = tmp_path / "copy"
    shutil.copytree(made.authority.parent, folder)
    again = certificates.create(folder, ["*.example.org", "::1"], 10)
    assert again.authority.read_bytes() == made.authority.read_bytes()
    tls.check(again.certificate, made.authority)
    assert tls.names(again.certificate) == {"*.example.org", "::1"}
    assert [path.stat().st_mode & 0o777 for path in (again.key, again.authority_key)] == [0o600, 0o600]


def test_a_certificate_that_clients_would_refuse_is_refused_first(made: certificates.Made, tmp_path: Path) -> None:
    """One that has ended, that is of another authority, without a name, or with another's key does not start a SuperLink."""
    with pytest.raises(ConfigError, match="The certificate"):
        tls.check(made.certificate, None, datetime.now(UTC) + timedelta(days=31))
    with pytest.raises(ConfigError, match="was not issued by the certificate authority in"):
        tls.check(made.certificate, other_authority(made, tmp_path / "a"))
    with pytest.raises(ConfigError, match="contains no hostname"):
        tls.names(made.authority)
    with pytest.raises(ConfigError, match="matching key"):
        tls.server_context(made.certificate, made.authority_key)
    with pytest.raises(ConfigError, match="cannot be read as a certificate"):
        tls.check(made.key, None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "can be reached from other machines, so TLS is required"),
        (["--ssl-certfile", "x"], "must be given together"),
        (["--ssl-certfile", "x", "--ssl-keyfile", "y", "--insecure"], "mutually exclusive"),
        (["--ssl-ca-certfile", "x"], "needs --ssl-certfile"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    """A SuperLink does not start half secure."""
    assert superlink(options) == ConfigError.exit_code
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_superexec_of_another_machine(umbel_home: Path, made: certificates.Made, tmp_path: Path) -> None:
    """It signs with the shared secret, trusts the authority, and so do the processes that it starts: a run completes."""
    secret, far_home = tmp_path / "secret", tmp_path / "far"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    options = with_tls(made, "--simulation", "--superexec-auth-secret-file", str(secret))
    with program(umbel_home, *options) as running:
        address = str(running.info["public_address"])
        command = [sys.executable, "-m", "umbel.superexec.main", "--superlink", address]
        command += ["--root-certificates", str(made.authority), "--superexec-auth-secret-file", str(secret)]
        environment = {**os.environ, "UMBEL_HOME": str(far_home)}
        with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as superexec:
            far = client(running, made.authority)
            run = simulation_runs.wait(far, simulation_runs.start(far, num_server_rounds=1))
            superexec.terminate()
    assert (run.sub_status, run.cause) == ("completed", None)


@pytest.mark.parametrize(("text", "words"), [("short", "at least 32 are required"), (None, "cannot be read")])
def test_a_weak_secret_is_refused(
    umbel_home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str | None, words: str
) -> None:
    """A secret that is too short, or not there, starts neither a SuperLink nor a SuperExec."""
    secret = tmp_path / "secret"
    if text is not None:
        secret.write_text(text)
    assert superlink(["--superexec-auth-secret-file", str(secret)]) == ConfigError.exit_code
    assert superexec(["--superlink", "http://127.0.0.1:1", "--superexec-auth-secret-file", str(secret)]) == 3
    assert capfd.readouterr().err.count(words) == 2
