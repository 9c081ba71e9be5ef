"""ServerApp: main and lifespan."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.clients import answer
from tests.support.fake_grid import FakeGrid
from umbel.app import Context
from umbel.serverapp import Grid, ServerApp

GRID, CONTEXT = FakeGrid(answer), Context(1, 1)


def test_main_is_called() -> None:
    """With the grid and the context; the decorator gives the function back."""
    app, calls = ServerApp(), []

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        calls.append((grid, context))

    app(GRID, CONTEXT)
    main(GRID, CONTEXT)
    assert calls == [(GRID, CONTEXT)] * 2


def test_there_is_one_main() -> None:
    """None, or a second one, is an error."""
    app = ServerApp()
    with pytest.raises(ValueError, match="has no main function"):
        app(GRID, CONTEXT)
    app.main()(lambda grid, context: None)
    with pytest.raises(ValueError, match="This ServerApp already has a main function"):
        app.main()(lambda grid, context: None)


def test_the_lifespan_runs_around_main() -> None:
    """Also when main fails; there is one lifespan."""
    app, steps = ServerApp(), []

    @app.lifespan()
    def around(context: Context) -> Iterator[None]:
        steps.append("before")
        yield
        steps.append("after")

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        steps.append("main")
        raise KeyError

    with pytest.raises(KeyError):
        app(GRID, CONTEXT)
    assert steps == ["before", "main", "after"]
    with pytest.raises(ValueError, match="This ServerApp already has a lifespan function"):
        app.lifespan()(around)
