from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat import api, flower
from umbel.compat import flwr as alias
from umbel.compat.flwr.table import MODULES

HOWTO = "docs/howto/coming-from-flower.md"


@pytest.fixture(autouse=True)
def _alias() -> Iterator[None]:
    """The alias is installed for the test, and gone afterwards."""
    with alias.active():
        yield


def imported(statement: str) -> dict[str, object]:
    """The names that an import statement binds."""
    found: dict[str, object] = {}
    exec(statement, found)
    return found


def test_an_import_gets_umbels_classes() -> None:
    """`flwr` and its submodules come from Umbel, each at most one subclass away."""
    from umbel import app, clientapp

    assert imported("from flwr.app import MetricRecord")["MetricRecord"] is app.MetricRecord
    assert issubclass(imported("import flwr.clientapp as c")["c"].ClientApp, clientapp.ClientApp)  # type: ignore[attr-defined]
    assert imported("from flwr.serverapp import strategy")["strategy"] is sys.modules["flwr.serverapp.strategy"]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_gives_what_it_lists(name: str) -> None:
    """Each module of the table can be imported, lists its names, and has them."""
    module = importlib.import_module(name)
    assert module.__all__
    assert [each for each in module.__all__ if getattr(module, each, None) is None] == []
    assert set(module.__all__) <= set(dir(module))


def test_every_public_name_of_flower_is_there_or_explained() -> None:
    """Of the names that Flower's release offers, the alias has each, or says in its error what to use instead."""
    for module, names in flower.recorded_api()["names"].items():
        provider = importlib.import_module(MODULES[module])
        explained = getattr(provider, "MISSING", {})
        below = {name.removeprefix(f"{module}.") for name in MODULES}
        lacking = [name for name in names if name not in {*provider.__all__, *explained, *below}]
        assert (module, lacking) == (module, [])
        assert [name for name in explained if name in provider.__all__] == []


def test_every_strategy_takes_flowers_arguments() -> None:
    """Each strategy takes the arguments of Flower's, in the same places and with the same defaults, but for what is explained."""
    ours = api.arguments()
    for name, theirs in flower.recorded_api()["arguments"].items():
        by_name = {argument: default for argument, _, default in ours[name]}
        known = [argument for argument in theirs if argument[0] != "accountant"]
        assert {argument: by_name.get(argument) for argument, _, _ in known} == {n: default for n, _, default in known}
        placed = [argument for argument, by_place, _ in known if by_place]
        assert [argument for argument, _, _ in ours[name]][: len(placed)] == placed


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("import flwr.nonsense", "flwr.nonsense"),
        ("from flwr.app import Nonsense", "flwr.app.Nonsense"),
        ("from flwr import nonsense", "flwr.nonsense"),
        ("from flwr.nonsense.more import x", "flwr.nonsense"),
        ("import flwr.app; flwr.app.Nonsense", "flwr.app.Nonsense"),
    ],
)
def test_what_is_missing_is_named(statement: str, named: str) -> None:
    """A module or a name that the alias lacks gives an error with its name and the way to the how-to."""
    with pytest.raises((ImportError, AttributeError), match=f"`{named}` cannot be used.*{HOWTO}"):
        imported(statement)


def test_what_is_missing_says_what_to_use() -> None:
    """Where there is another way, the error says which."""
    with pytest.raises(ImportError, match=r"umbel\.clientapp\.mod\.secaggplus_mod.*SecAggPlus"):
        imported("from flwr.clientapp.mod import secaggplus_mod")


def test_a_name_can_be_tried() -> None:
    """`hasattr`, `getattr` with a default and `except ImportError` see a missing name as missing."""
    module = imported("import flwr.app as m")["m"]
    assert not hasattr(module, "Nonsense")
    assert imported("try:\n    import flwr.nonsense\nexcept ModuleNotFoundError:\n    x = 1")["x"] == 1


def test_all_names_can_be_imported_at_once() -> None:
    """`from flwr.app import *` binds the public names and no others."""
    found = imported("from flwr.app import *")
    assert "RecordDict" in found
    assert "annotations" not in found


def test_installing_twice_is_installing_once() -> None:
    """`install` may be called again; one `uninstall` undoes it, and so does a second."""
    alias.install()
    alias.install()
    assert sum(type(finder).__module__ == "umbel.compat.flwr.alias" for finder in sys.meta_path) == 1
    alias.uninstall()
    alias.uninstall()
    assert "flwr" not in sys.modules
    with pytest.raises(ImportError):
        importlib.import_module("flwr")


def test_the_alias_wins_and_gives_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is installed it wins over an installed Flower, even one already imported; afterwards that one is there again."""
    alias.uninstall()
    package = tmp_path / "flwr"
    package.mkdir()
    (package / "__init__.py").write_text("theirs = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    theirs = importlib.import_module("flwr")
    with alias.active():
        assert importlib.import_module("flwr") is not theirs
        with alias.active():
            pass
        assert not hasattr(importlib.import_module("flwr"), "theirs")
    assert importlib.import_module("flwr") is theirs
    del sys.modules["flwr"]


def test_nothing_is_imported_before_it_is_used() -> None:
    """Installing the alias imports neither NumPy nor anything else that is heavy."""
    program = "import sys; from umbel.compat import flwr; flwr.install(); print('numpy' in sys.modules, 'umbel.app' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("flwr.clientapp.typing", "Mod"),
        ("flwr.clientapp.client_app", "ClientApp"),
        ("flwr.client.typing", "ClientFnExt"),
        ("flwr.client.client_app", "ClientApp"),
        ("flwr.common.record.arrayrecord", "ArrayRecord"),
        ("flwr.server.server", "fit_clients"),
        ("flwr.server.server", "evaluate_clients"),
        ("flwr.server.server", "FitResultsAndFailures"),
        ("flwr.server.server_app", "ServerApp"),
        ("flwr.serverapp.strategy.multikrum", "MultiKrum"),
    ],
)
def test_classes_can_be_imported_from_the_modules_that_define_them(module: str, name: str) -> None:
    """Apps may import a public name by the path of Flower's module for it."""
    assert hasattr(importlib.import_module(module), name)
