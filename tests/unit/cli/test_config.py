"""config.toml and the connections in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from umbel.cli.config import TOKEN_VARIABLE, Connection, open_client, read_connections
from umbel.errors import ConfigError
from umbel.wire.control import ControlClient


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_the_file_is_made_on_first_use(umbel_home: Path) -> None:
    """Without a file there is a local connection, the default, and a file to edit."""
    connections = read_connections()
    assert connections.path == umbel_home / "config.toml"
    assert connections.resolve().is_local
    assert read_connections() == connections


def test_a_connection_is_found_by_name(tmp_path: Path) -> None:
    """The name given wins over the default."""
    path = written(
        tmp_path, '[superlink]\ndefault = "a"\n[superlink.a]\naddress = "x:1"\n[superlink.b]\naddress = "y:2"'
    )
    connections = read_connections(path)
    assert connections.resolve().address == "x:1"
    assert connections.resolve("b").address == "y:2"


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """The hint lists what could have been meant."""
    path = written(tmp_path, '[superlink.site]\naddress = "x:1"\n[superlink.lab]\naddress = "y:1"')
    with pytest.raises(ConfigError, match=r"'siet'.*lab, site"):
        read_connections(path).resolve("siet")


def test_no_name_and_no_default_is_refused(tmp_path: Path) -> None:
    """Nothing is guessed."""
    with pytest.raises(ConfigError, match="no default"):
        read_connections(written(tmp_path, '[superlink.a]\naddress = "x:1"')).resolve()


def test_broken_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    """The message names the file and the line."""
    with pytest.raises(ConfigError, match=r"config\.toml is not valid TOML.*line 2"):
        read_connections(written(tmp_path, "[superlink]\ndefault = local\n"))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('adress = "x:1"', "unknown key 'adress'"),
        ("insecure = true", "has no address"),
        ("address = 1", "must be a str"),
        ('address = "x:1"\ninsecure = true\nroot-certificates = "/ca.pem"', "both insecure and root-certificates"),
        ('address = "x:1"\nroot-certificates = "ca.pem"', "absolute path"),
        ('address = "x:1"\noptions = {a = [1]}', "`a` is a list"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, table: str, problem: str) -> None:
    """Mistyped keys, wrong types and contradictions are errors, not silence."""
    with pytest.raises(ConfigError, match=problem):
        read_connections(written(tmp_path, f"[superlink.a]\n{table}"))


def test_options_become_a_federation_config(tmp_path: Path) -> None:
    """Simulation settings nested as Flower nests them have their flat keys."""
    backend = '{name = "ray", client-resources = {num-cpus = 2}, init-args = {num-gpus = 1}}'
    text = f'[superlink.a]\naddress = "x:1"\noptions = {{num-supernodes = 5, backend = {backend}}}'
    assert read_connections(written(tmp_path, text)).resolve("a").options == {
        "num-supernodes": 5,
        "backend-name": "ray",
        "client-resources-num-cpus": 2,
        "init-args-num-gpus": 1,
    }


@pytest.mark.parametrize(
    ("address", "insecure", "url"),
    [
        ("superlink.example.org:9093", False, "https://superlink.example.org:9093"),
        ("superlink.example.org:9093", True, "http://superlink.example.org:9093"),
        ("127.0.0.1:80", False, "http://127.0.0.1:80"),
        ("[::1]:80", False, "http://[::1]:80"),
        ("http://x:1", False, "http://x:1"),
        ("https://127.0.0.1:80", False, "https://127.0.0.1:80"),
    ],
)
def test_encryption_is_the_default_off_this_machine(address: str, insecure: bool, url: str) -> None:
    """Without a scheme an address means https, unless it is this machine's or `insecure` is set."""
    assert Connection("a", address, insecure=insecure).url == url


def test_roots_mean_encryption() -> None:
    """An address of this machine with root certificates is asked over TLS: for whom would they be else?"""
    assert Connection("a", "127.0.0.1:80", root_certificates="/ca.pem").url == "https://127.0.0.1:80"


def test_a_token_comes_from_its_file(tmp_path: Path) -> None:
    """The file's text without the newline is the token."""
    (tmp_path / "token").write_text("secret\n")
    client = open_client(Connection("a", "127.0.0.1:1", token_file=str(tmp_path / "token")))
    assert authorization(client) == "Bearer secret"


def test_a_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token file UMBEL_TOKEN is used."""
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    assert authorization(open_client(Connection("a", "127.0.0.1:1"))) == "Bearer secret"


def authorization(client: ControlClient) -> str:
    """The token's header in the requests of a client."""
    return client.http._credentials.headers("GET", "", "", None)["Authorization"]


def test_a_token_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The message names the connection and the file."""
    with pytest.raises(ConfigError, match=r"connection 'a'.*gone"):
        open_client(Connection("a", "127.0.0.1:1", token_file=str(tmp_path / "gone")))
