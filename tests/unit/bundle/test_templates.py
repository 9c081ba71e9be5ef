from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from umbel.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from umbel.bundle import TEMPLATES, build_fab, check_components, load_app, new_app, read_fab
from umbel.errors import Conflict, UmbelError, UsageError


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_app_is_complete(tmp_path: Path, template: str) -> None:
    """Each template gives an app that is valid without a warning, compiles, and has nothing left to fill in."""
    app = new_app(template, "First-App", tmp_path / "apps" / "here", "my-group")
    assert app == tmp_path / "apps" / "here"
    assert [path.name for path in app.parent.iterdir()] == ["here"]
    config = load_app(app)
    check_components(app, config)
    assert (config.fab_id, config.warnings) == ("my-group/First-App", [])
    assert config.federation["num-supernodes"] == 10
    assert config.config.keys() >= {"num-server-rounds", "fraction-train", "local-epochs"}
    files = {path: path.read_text() for path in app.rglob("*") if path.is_file()}
    assert not any("$" in text for text in files.values())
    for path, text in files.items():
        if path.suffix == ".py":
            compile(text, str(path), "exec")
    package = [f"first_app/{name}.py" for name in ("__init__", "client_app", "server_app", "task")]
    assert list(read_fab(build_fab(app).data).files) == ["pyproject.toml", "README.md", *package]
    assert (app / ".gitignore").is_file()


@pytest.fixture
def fresh_modules() -> Iterator[None]:
    """Forgets what the test imports from its new app."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("fresh_"):
            del sys.modules[name]


def module(app: Path, name: str) -> ModuleType:
    """A module of a new app's package."""
    sys.path.insert(0, str(app))
    return importlib.import_module(f"{app.name.replace('-', '_')}.{name}")


@pytest.mark.usefixtures("fresh_modules")
@pytest.mark.parametrize("template", ["numpy", "sklearn"])
def test_a_client_learns(tmp_path: Path, template: str) -> None:
    """The client of a new app, given what a server sends, answers with a model that is better than the first."""
    path = new_app(template, f"fresh-{template}", tmp_path / f"fresh-{template}", "me")
    task, client = module(path, "task"), module(path, "client_app")
    config = load_app(path).config
    node: dict[str, bool | int | float | str] = {"partition-id": 3, "num-partitions": 10}
    context = Context(run_id=1, node_id=2, node_config=node, run_config=config)
    first = task.initial_model() if template == "numpy" else task.get_parameters(task.make_model(0.1))
    arrays = ArrayRecord(first)
    losses = []
    for server_round in (1, 2):
        content = RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": server_round})})
        evaluated = client.app(Message(content, dst_node_id=2, message_type="evaluate"), context)
        trained = client.app(Message(content, dst_node_id=2, message_type="train"), context)
        losses.append(evaluated.content["metrics"]["eval_loss"])
        arrays = trained.content["arrays"]
        assert trained.content["metrics"]["num-examples"] > 100
    assert losses[1] < losses[0] * 0.8


@pytest.mark.parametrize(
    "name", ["", "1-app", "my_app", "my app", "../app", "a" * 65, "ä", "json", "Torch", "umbel", "lib", "class"]
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    """A name that is ill-formed, or would stand in the place of a module that the app needs, is refused."""
    with pytest.raises(UsageError, match="Invalid app name"):
        new_app("numpy", name, tmp_path / "app", "me")
    assert list(tmp_path.iterdir()) == []


def test_other_arguments_are_checked(tmp_path: Path) -> None:
    """An unknown template and an ill-formed publisher are refused with what is possible."""
    with pytest.raises(UsageError, match="Did you mean `pytorch`"):
        new_app("pytroch", "app", tmp_path / "app", "me")
    with pytest.raises(UsageError, match="only letters, digits, hyphens and underscores are allowed"):
        new_app("numpy", "app", tmp_path / "app", "a/b")


@pytest.mark.parametrize("kind", ["directory", "file", "dangling link"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    """An app is not written over what is there, not even over an empty directory."""
    place = tmp_path / "app"
    if kind == "directory":
        place.mkdir()
    elif kind == "file":
        place.touch()
    else:
        place.symlink_to("nowhere")
    with pytest.raises(Conflict, match="already exists"):
        new_app("numpy", "app", place, "me")
    assert [path.name for path in tmp_path.iterdir()] == ["app"]


@pytest.mark.parametrize(("login", "publisher"), [("ann", "ann"), ("Ann B.", "Ann-B-"), ("_", "my-group")])
def test_the_publisher_is_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str, publisher: str
) -> None:
    """Without another, the publisher is the login name, in a form that is allowed."""
    monkeypatch.setattr("getpass.getuser", lambda: login)
    assert load_app(new_app("numpy", "app", tmp_path / "app")).publisher == publisher


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the directory should be is an error of ours, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(UmbelError, match="cannot be written"):
        new_app("numpy", "app", tmp_path / "file" / "app", "me")
