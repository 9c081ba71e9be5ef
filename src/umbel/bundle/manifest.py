"""Manifest of a bundle: names, components, file hashes."""

from __future__ import annotations

import ast
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from umbel.bundle.config import AppConfig
from umbel.bundle.limits import MANIFEST
from umbel.bundle.suggest import did_you_mean
from umbel.bundle.target import LICENSES
from umbel.errors import AppInvalid, BundleInvalid

PROJECT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
PUBLISHER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_MODULE = r"[^\W\d]\w*"
COMPONENT = re.compile(rf"{_MODULE}(\.{_MODULE})*:{_MODULE}")

MAX_PATH_CHARS = 240
MAX_DEPTH = 16
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789")}
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff<>:"|?*\\]')


def unsafe_path(path: str) -> str | None:
    """Why the file name `path` may not be in a bundle, or None if it may.

    A name is relative, uses `/`, stays inside the bundle and means the same file on every system.
    """
    if _FORBIDDEN.search(path):
        return "it contains a character that some systems do not allow (such as a backslash, a colon or a control character)"
    if path.startswith("/"):
        return "it is absolute"
    if len(path) > MAX_PATH_CHARS:
        return f"it is longer than {MAX_PATH_CHARS} characters"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"it is more than {MAX_DEPTH} directories deep"
    return next((reason for part in parts if (reason := _unsafe_part(part))), None)


def _unsafe_part(part: str) -> str | None:
    if part in ("", ".", ".."):
        return f"it contains the component `{part}`"
    if part[-1] in ". ":
        return "a component ends in a dot or a space"
    if part.partition(".")[0].lower() in _DEVICES:
        return f"`{part}` is a device name on some systems"
    return None


def same_on_some_system(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two of `paths` that meet where case or Unicode form does not count, or of which one is the other's directory."""
    seen: dict[str, tuple[str, bool]] = {}
    for path in paths:
        for prefix in _prefixes(path):
            entry = (prefix, prefix == path)
            other = seen.setdefault(_folded(prefix), entry)
            if other != entry:
                return other[0], path
    return None


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


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
        raise AppInvalid(message, hint="The package is under src: move it to the directory of pyproject.toml.")
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


_LINE = re.compile(r"(?P<path>.+),(?P<digest>[0-9a-f]{64}),(?P<bits>[0-9]{1,12})", re.ASCII)


def write_manifest(files: Mapping[str, bytes]) -> bytes:
    """The manifest of `files`, in their order."""
    lines = (f"{path},{hashlib.sha256(data).hexdigest()},{len(data) * 8}\n" for path, data in files.items())
    return "".join(lines).encode()


def check_manifest(manifest: bytes, files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each of `files`, if the manifest says the same about them; BundleInvalid otherwise."""
    listed = _parse(manifest)
    if missing := sorted(listed.keys() - files.keys()):
        raise BundleInvalid(f"The file `{missing[0]}` is in the bundle's manifest but not in the bundle.")
    if extra := sorted(files.keys() - listed.keys()):
        raise BundleInvalid(f"The file `{extra[0]}` is in the bundle but not in its manifest.")
    for path, (digest, bits) in listed.items():
        if len(files[path]) * 8 != bits:
            raise BundleInvalid(f"The size of `{path}` differs from the one in the bundle's manifest.")
        if hashlib.sha256(files[path]).hexdigest() != digest:
            raise BundleInvalid(f"The digest of `{path}` differs from the one in the bundle's manifest.")
    return {path: digest for path, (digest, _) in listed.items()}


def _parse(manifest: bytes) -> dict[str, tuple[str, int]]:
    listed: dict[str, tuple[str, int]] = {}
    try:
        lines = manifest.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise BundleInvalid(f"The bundle's manifest {MANIFEST} is not UTF-8 text.") from None
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BundleInvalid(f"Line {number} of the bundle's manifest {MANIFEST} is not `path,sha256,bits`.")
        if match["path"] in listed:
            raise BundleInvalid(f"The bundle's manifest {MANIFEST} lists `{match['path']}` twice.")
        listed[match["path"]] = (match["digest"], int(match["bits"]))
    return listed
