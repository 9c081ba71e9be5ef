"""ServerApp: what runs the federation's rounds."""

from __future__ import annotations

from collections.abc import Callable

from umbel.app.context import Context, LifespanFn, lifespan
from umbel.serverapp.grid import Grid

MainFn = Callable[[Grid, Context], None]


class ServerApp:
    """One main function, `(grid, context) -> None`, registered with a decorator.

    >>> app = ServerApp()
    >>> @app.main()
    ... def main(grid: Grid, context: Context) -> None: ...
    """

    def __init__(self) -> None:
        """An app without a main function yet."""
        self._main: MainFn | None = None
        self._lifespan: LifespanFn | None = None

    def main(self) -> Callable[[MainFn], MainFn]:
        """Register the main function. Raises ValueError when there is one already."""

        def register(fn: MainFn) -> MainFn:
            if self._main is not None:
                raise ValueError("This ServerApp already has a main function.")
            self._main = fn
            return fn

        return register

    def lifespan(self) -> Callable[[LifespanFn], LifespanFn]:
        """Register a generator of the context that runs around main: it must yield exactly once."""

        def register(fn: LifespanFn) -> LifespanFn:
            if self._lifespan is not None:
                raise ValueError("This ServerApp already has a lifespan function.")
            self._lifespan = fn
            return fn

        return register

    def __call__(self, grid: Grid, context: Context) -> None:
        """Run main. Raises ValueError when none is registered."""
        if self._main is None:
            raise ValueError("This ServerApp has no main function: decorate one with `@app.main()`.")
        with lifespan(self._lifespan, context):
            self._main(grid, context)
