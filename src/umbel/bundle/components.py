"""A quick static look at an app's components: are their modules there, do they have the attributes?"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from umbel.bundle.config import AppConfig
from umbel.bundle.nearest import did_you_mean
from umbel.bundle.target import LICENSES
from umbel.errors import AppInvalid


def check_components(path: Path, config: AppConfig) -> None:
    """Raises AppInvalid if a component's module or attribute cannot be found in the app in `path`.

    Nothing is imported: the module is parsed, and the attribute must be bound at its top level. A module that imports
    `*` or defines `__getattr__` is taken at its word.
    """
    for key, reference in config.components.items():
        attribute = reference.rpartition(":")[2]
        file = _find_module(path, key, reference)
        names = _top_level_names(file)
        if attribute not in names and not names & {"*", "__getattr__"}:
            public = {name for name in names if not name.startswith("_")}
            message = f"`{key}` is {reference}, but {file} has no top-level name `{attribute}`."
            raise AppInvalid(message, hint=did_you_mean(attribute, public))


def module_paths(reference: str) -> tuple[str, str]:
    """The two files, relative to the app, that the module of `"module:attribute"` may be."""
    stem = reference.partition(":")[0].replace(".", "/")
    return f"{stem}.py", f"{stem}/__init__.py"


def check_files(config: AppConfig, files: Mapping[str, bytes]) -> None:
    """Raises AppInvalid if the bundle's `files` lack what the description names: the components' modules, the licence."""
    for key, reference in config.components.items():
        wanted = module_paths(reference)
        if not any(path in files for path in wanted):
            message = f"The module of `{key}` ({reference}) is not in the bundle: there is no {' or '.join(wanted)}."
            raise AppInvalid(message, hint="Check the name, .gitignore, `fab-include` and `fab-exclude`.")
    if config.fab_format_version == 1 and not any(name in files for name in LICENSES):
        raise AppInvalid("The app's licence file is not in the bundle.", hint="Format 1 needs LICENSE or LICENSE.md.")


def _find_module(path: Path, key: str, reference: str) -> Path:
    wanted = module_paths(reference)
    for name in wanted:
        if (path / name).is_file():
            return path / name
    message = f"`{key}` is {reference}, but {path} has no file {' or '.join(wanted)}."
    if any((path / "src" / name).is_file() for name in wanted):
        raise AppInvalid(message, hint="It is under src: move the package up to the directory of pyproject.toml.")
    modules = (file.relative_to(path) for file in [*path.glob("*.py"), *path.glob("[!.]*/*.py")])
    known = {".".join(file.with_suffix("").parts) for file in modules}
    raise AppInvalid(message, hint=did_you_mean(reference.partition(":")[0], known))


def _top_level_names(file: Path) -> set[str]:
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise AppInvalid(f"{file}{where} is not valid Python: {reason}.") from None
    return set(_bound(tree.body))


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that the statements bind in their own scope."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
        elif not isinstance(statement, ast.AnnAssign) or statement.value is not None:
            yield from _bound_within(statement)


def _bound_within(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from _bound([child])
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif not isinstance(child, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from _bound_within(child)
