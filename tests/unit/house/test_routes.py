"""The architecture page names every route of the API, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.routing import BaseRoute, Route

from tests.support.source_tree import ROOT
from umbel.superlink.api import control, fleet, grid, nodes, objects, runtime

ROUTES = [
    *control.router.routes,
    *nodes.router.routes,
    *objects.ROUTES,
    *runtime.ROUTES,
    *grid.ROUTES,
    *fleet.ROUTES,
]

NAMED = re.compile(r"`((?:GET|HEAD|PUT|POST|DELETE|, )+) (/api/[^`?]*)")


def test_the_architecture_page_names_every_route() -> None:
    """Methods and paths in its table are those that the SuperLink serves."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {(method, anonymous(path)) for methods, path in NAMED.findall(page) for method in methods.split(", ")}
    assert named - {("HEAD", "/api/objects/{}")} == served(ROUTES)


def served(routes: Iterable[BaseRoute]) -> set[tuple[str, str]]:
    """Method and path of each route; HEAD comes with GET and is left out."""
    return {
        (method, anonymous(route.path))
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }


def anonymous(path: str) -> str:
    """The path without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path)
