"""The options of `umbel-supernode`."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from umbel.errors import ConfigError, UsageError
from umbel.supernode.settings import address_of, default_state_dir, parse


def test_only_the_address_is_required(umbel_home: Path) -> None:
    """By default the state is in UMBEL_HOME, and the whole machine serves one message at a time, with unlimited retries."""
    settings = parse(["--superlink", "example.org:9000"])
    assert settings.superlink == "https://example.org:9000"
    assert settings.state_dir == umbel_home / "supernode" / "default"
    assert (settings.slots, settings.max_retries, settings.max_wait) == (1, None, math.inf)
    assert settings.cpus >= 1


def test_every_option_is_parsed(tmp_path: Path) -> None:
    """Each option sets its field; repeated --node-config options are merged."""
    told = "--superlink h:1 --name a --slots 3 --num-cpus 1.5 --num-gpus 0 --max-retries 2 --max-wait-time 9 --cache-size 0.5"
    pairs = ["--node-config", 'a=1 b="x y"', "--node-config", "c=true"]
    paths = ["--state-dir", str(tmp_path), "--root-certificates", "ca.pem", "--auth-supernode-private-key", "key"]
    settings = parse([*told.split(), *pairs, *paths])
    assert settings.node_config == {"a": 1, "b": "x y", "c": True}
    assert (settings.name, settings.slots, settings.cpus, settings.gpus) == ("a", 3, 1.5, ())
    assert (settings.max_retries, settings.max_wait, settings.cache_bytes) == (2, 9.0, 1 << 29)
    assert (settings.state_dir, settings.root_certificates, settings.private_key) == (
        tmp_path,
        Path("ca.pem"),
        Path("key"),
    )


@pytest.mark.parametrize(
    ("text", "insecure", "has_roots", "url"),
    [
        ("example.org:9", False, False, "https://example.org:9"),
        ("example.org:9", True, False, "http://example.org:9"),
        ("example.org", False, False, "https://example.org"),
        ("localhost:9", False, False, "http://localhost:9"),
        ("127.0.0.1:9", False, True, "https://127.0.0.1:9"),
        ("[::1]:9", False, False, "http://[::1]:9"),
        ("https://127.0.0.1:9", False, False, "https://127.0.0.1:9"),
        ("http://127.0.0.1:9/", False, False, "http://127.0.0.1:9"),
        ("http://example.org:9", True, False, "http://example.org:9"),
    ],
)
def test_tls_is_the_default(text: str, insecure: bool, has_roots: bool, url: str) -> None:
    """Plain HTTP is used only on this machine, or with --insecure."""
    assert address_of(text, insecure=insecure, has_roots=has_roots) == url


@pytest.mark.parametrize("text", ["", "ftp://h:1", "h:x", "h:1/path", "http://example.org:9", ":9"])
def test_an_invalid_address_is_rejected(text: str) -> None:
    """An invalid address is rejected, and so is plain HTTP to another machine without --insecure."""
    with pytest.raises(ConfigError):
        address_of(text, insecure=False)


@pytest.mark.parametrize(
    "more", [["--name", "a/b"], ["--name", ".."], ["--node-config", "a=b"], ["--node-config", "nonsense"]]
)
def test_invalid_names_and_pairs_are_rejected(more: list[str]) -> None:
    """A name that is unsuitable for a directory, or a malformed pair, raises UsageError."""
    with pytest.raises(UsageError):
        parse(["--superlink", "h:1", *more])


@pytest.mark.parametrize(
    "more", [["--slots", "0"], ["--num-cpus", "-1"], ["--max-retries", "x"], ["--isolation", "none"]]
)
def test_invalid_values_end_the_program(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The message on stderr names the option."""
    with pytest.raises(SystemExit):
        parse(["--superlink", "h:1", *more])
    assert more[0] in capsys.readouterr().err


def test_the_state_directory_is_named_after_the_node(umbel_home: Path) -> None:
    """Without a node name, the name of the key file is used, with unsuitable characters replaced."""
    assert default_state_dir("a", Path("/k/b.pem")).name == "a"
    assert default_state_dir("", Path("/k/b c.pem")) == umbel_home / "supernode" / "b_c"
