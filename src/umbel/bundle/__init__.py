"""App bundles: read an app's description, build, verify and install its bundle (FAB), start a new app.

The names below come from their modules at first use, so that importing this package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umbel.bundle.build import BuiltFab as BuiltFab
    from umbel.bundle.build import build_fab as build_fab
    from umbel.bundle.build import given_fab as given_fab
    from umbel.bundle.config import AppConfig as AppConfig
    from umbel.bundle.config import Scalar as Scalar
    from umbel.bundle.config import flatten as flatten
    from umbel.bundle.config import merge_config as merge_config
    from umbel.bundle.config import parse_pairs as parse_pairs
    from umbel.bundle.config import parse_run_config as parse_run_config
    from umbel.bundle.config import unflatten as unflatten
    from umbel.bundle.install import install_fab as install_fab
    from umbel.bundle.load import load_app as load_app
    from umbel.bundle.manifest import check_components as check_components
    from umbel.bundle.read import Fab as Fab
    from umbel.bundle.read import FabFile as FabFile
    from umbel.bundle.read import read_fab as read_fab
    from umbel.bundle.templates import TEMPLATES as TEMPLATES
    from umbel.bundle.templates import new_app as new_app

_MODULE_OF = {
    "AppConfig": "config",
    "BuiltFab": "build",
    "Fab": "read",
    "FabFile": "read",
    "Scalar": "config",
    "TEMPLATES": "templates",
    "build_fab": "build",
    "check_components": "manifest",
    "flatten": "config",
    "given_fab": "build",
    "install_fab": "install",
    "load_app": "load",
    "merge_config": "config",
    "new_app": "templates",
    "parse_pairs": "config",
    "parse_run_config": "config",
    "read_fab": "read",
    "unflatten": "config",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)
