from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.apps import PYPROJECT, write_app
from umbel.bundle import load_app
from umbel.errors import AppInvalid

FLWR = PYPROJECT.replace("tool.umbel", "tool.flwr").replace("umbel>=0.1", "flwr>=1.20")
V1 = PYPROJECT.replace('license = "Apache-2.0"', 'license = {file = "LICENSE"}').replace(
    'publisher = "me"', 'publisher = "me"\nfab-format-version = 1\numbel-version-target = "0.2"'
)


def test_an_app_is_read(tmp_path: Path) -> None:
    """Every part of a pyproject.toml reaches the description, with the config flat."""
    more = "[tool.umbel.app.federation]\nnum-supernodes = 7\n[tool.umbel.app.federation.client]\ncpus = 0.5\n"
    config = load_app(write_app(tmp_path, PYPROJECT + more))
    assert (config.fab_id, config.version, config.source) == ("me/my-app", "1.2.3", "umbel")
    assert config.components == {"serverapp": "my_app.server_app:app", "clientapp": "my_app.client_app:app"}
    assert config.config == {"rounds": 3, "train.lr": 0.1}
    assert config.federation == {"num-supernodes": 7, "client.cpus": 0.5}
    assert config.dependencies == ["umbel>=0.1"]
    assert (config.fab_format_version, config.include, config.exclude, config.warnings) == (0, [], [], [])


def test_an_app_for_flower_is_read(tmp_path: Path) -> None:
    """`[tool.flwr.app]` is read like our own table when ours is absent."""
    config = load_app(write_app(tmp_path, FLWR))
    assert (config.fab_id, config.source, config.config) == ("me/my-app", "flwr", {"rounds": 3, "train.lr": 0.1})


def test_our_own_table_goes_first(tmp_path: Path) -> None:
    """An app that has both tables is described by ours."""
    both = PYPROJECT + '[tool.flwr.app]\npublisher = "other"\n'
    assert load_app(write_app(tmp_path, both)).publisher == "me"


def test_old_federations_are_read_with_a_warning(tmp_path: Path) -> None:
    """The simulation settings of the default entry of `[tool.flwr.federations]` are used, and a warning says so."""
    legacy = """
[tool.flwr.federations]
default = "local"
[tool.flwr.federations.local]
options.num-supernodes = 40
options.backend.client-resources.num-cpus = 2
options.other = "x"
[tool.flwr.federations.remote]
address = "10.0.0.1:9093"
"""
    config = load_app(write_app(tmp_path, FLWR + legacy))
    assert config.federation == {"num-supernodes": 40, "client-resources-num-cpus": 2}
    assert len(config.warnings) == 1
    assert "is deprecated; only its simulation settings are used" in config.warnings[0]


def test_an_unknown_key_of_flower_is_a_warning(tmp_path: Path) -> None:
    """Flower may have keys that we do not know yet: they do not stop an app from running."""
    app = write_app(tmp_path, FLWR.replace('publisher = "me"', 'publisher = "me"\nbadge = "gold"'))
    assert ["badge" in warning for warning in load_app(app).warnings] == [True]


def test_what_is_recommended_is_a_warning(tmp_path: Path) -> None:
    """An app without description and licence is an app, with two warnings."""
    bare = PYPROJECT.replace('description = "An app"\n', "").replace('license = "Apache-2.0"\n', "")
    assert len(load_app(write_app(tmp_path, bare)).warnings) == 2


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """A file saved by an editor that puts a mark before UTF-8 text is read."""
    app = write_app(tmp_path)
    (app / "pyproject.toml").write_bytes(b"\xef\xbb\xbf" + PYPROJECT.encode())
    assert load_app(app).publisher == "me"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "my-app"', "", "`project.name` is missing; expected"),
        ('name = "my-app"', 'name = "1-app"', "`project.name` is '1-app'; expected"),
        ('name = "my-app"', 'name = "my_app"', "`project.name` is 'my_app'"),
        ('name = "my-app"', "name = 3", "`project.name` is 3"),
        ('version = "1.2.3"', "", "`project.version` is missing"),
        ('version = "1.2.3"', 'version = "new"', "`project.version` is 'new'"),
        ('version = "1.2.3"', 'dynamic = ["version"]', "dynamic"),
        ('publisher = "me"', "", "`tool.umbel.app.publisher` is missing"),
        ('publisher = "me"', 'publisher = "../me"', "`tool.umbel.app.publisher`"),
        ('publisher = "me"', 'publisher = "me"\npublishr = "me"', "`publisher`"),
        ('publisher = "me"', 'publisher = "me"\nfab-includes = ["x"]', "`fab-include`"),
        ('publisher = "me"', 'publisher = "me"\nfab-include = []', "`tool.umbel.app.fab-include` is"),
        ('publisher = "me"', 'publisher = "me"\nfab-exclude = [1]', "`tool.umbel.app.fab-exclude` is"),
        ('publisher = "me"', 'publisher = "me"\nfab-format-version = 2', "expected 0 or 1"),
        ('publisher = "me"', 'publisher = "me"\nfab-format-version = true', "expected 0 or 1"),
        ('publisher = "me"', 'publisher = "me"\numbel-version-target = "x"', "umbel-version-target` is 'x'"),
        ('serverapp = "my_app.server_app:app"', "", "`tool.umbel.app.components.serverapp` is missing"),
        ('"my_app.server_app:app"', '"my_app.server_app"', "module:attribute"),
        ('"my_app.server_app:app"', '"my_app/server_app:app"', "module:attribute"),
        ('"my_app.server_app:app"', '"..:app"', "module:attribute"),
        ('clientapp = "', 'client-app = "', "`clientapp`"),
        ("rounds = 3", "rounds = [3]", "`rounds` is a list"),
        ("rounds = 3", "rounds = 2020-01-01", "`rounds` is a date"),
        ("[tool.umbel.app.config]", "[tool.umbel.app.confg]", "`config`"),
        ("[tool.umbel.app", "[tool.umbel.ap", "tool.umbel.app"),
        ("[tool.umbel.app]", "[[tool.umbel.app]]", "not valid TOML|expected a table"),
        ("[project]", "project = 3\n[other]", "`project` is 3; expected a table"),
        ('dependencies = ["umbel>=0.1"]', 'dependencies = "umbel"', "`project.dependencies`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    """A missing, ill-formed or unknown field is refused with file and key, and with an example or the right key."""
    with pytest.raises(AppInvalid, match=said) as caught:
        load_app(write_app(tmp_path, PYPROJECT.replace(old, new)))
    assert str(tmp_path / "pyproject.toml") in str(caught.value)


def test_an_example_comes_with_the_error(tmp_path: Path) -> None:
    """The hint shows the table and a line that would do."""
    with pytest.raises(AppInvalid) as caught:
        load_app(write_app(tmp_path, PYPROJECT.replace('publisher = "me"', "")))
    assert caught.value.hint == 'For example, under [tool.umbel.app]:  publisher = "my-group"'


def test_broken_toml_is_placed(tmp_path: Path) -> None:
    """A mistake in the TOML is told with its line."""
    with pytest.raises(AppInvalid, match="line 4"):
        load_app(write_app(tmp_path, "[project]\nname = 'a'\nversion = '1'\noops\n"))
    (tmp_path / "pyproject.toml").write_bytes(b"[project]\nname = '\xff'\n")
    with pytest.raises(AppInvalid, match="line 2"):
        load_app(tmp_path)


@pytest.mark.parametrize("name", ["", "nowhere", "file"])
def test_what_is_no_app_is_told(tmp_path: Path, name: str) -> None:
    """A directory without pyproject.toml, no directory, or a file is said to be no app."""
    (tmp_path / "file").touch()
    with pytest.raises(AppInvalid, match="is not an app"):
        load_app(tmp_path / name)


def test_format_1_is_read(tmp_path: Path) -> None:
    """An app that follows the stricter rules of format 1 is accepted."""
    config = load_app(write_app(tmp_path, V1))
    assert (config.fab_format_version, config.version_target) == (1, "0.2")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('umbel-version-target = "0.2"', "", "umbel-version-target` is missing"),
        ('umbel-version-target = "0.2"', 'umbel-version-target = "0.0.9"', "below the lower bound 0.1"),
        ('"umbel>=0.1"', '"umbel"', "with >="),
        ('"umbel>=0.1"', '"numpy>=1"', "exactly one requirement on umbel"),
        ('"umbel>=0.1"', '"umbel>=0.1", "umbel>=0.2"', "exactly one requirement on umbel"),
        ('"umbel>=0.1"', '"umbel >> 1"', "exactly one requirement on umbel"),
        ('{file = "LICENSE"}', '"MIT"', "names the licence file"),
        ('{file = "LICENSE"}', '{file = "COPYING"}', "names the licence file"),
    ],
)
def test_format_1_is_strict(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Format 1 asks for a version target, a bounded dependency and a licence file."""
    with pytest.raises(AppInvalid, match=said):
        load_app(write_app(tmp_path, V1.replace(old, new)))
