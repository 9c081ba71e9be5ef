"""Building of app bundles from a folder."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.bundle.config import AppConfig, unflatten
from umbel.bundle.limits import (
    KINDS,
    MANIFEST,
    MAX_FAB_BYTES,
    MAX_FILE_BYTES,
    MAX_FILES,
    is_allowed_kind,
    is_left_out_directory,
    is_left_out_file,
)
from umbel.bundle.load import PYPROJECT, load_app, parse_toml
from umbel.bundle.manifest import check_files, same_on_some_system, unsafe_path, write_manifest
from umbel.bundle.read import read_fab
from umbel.errors import AppInvalid, BundleInvalid

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


@dataclass
class _Walk:
    """What a walk through the app's directory finds, as paths relative to it with `/`."""

    root: Path
    files: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # a path in each directory that is never in a bundle
    leading_out: set[str] = field(default_factory=set)  # links to files, or a path in each link to a directory


def collect(root: Path, config: AppConfig) -> list[str]:
    """The sorted paths, relative to `root` and with `/`, of the files in the bundle, without pyproject.toml.

    Files that a .gitignore excludes are left out, then the app's `fab-include` and `fab-exclude` count, then the fixed
    rules. Raises AppInvalid for a pattern that matches nothing and BundleInvalid for a link that leads outside.
    """
    walk = _Walk(root.resolve())
    _visit(walk, walk.root, "", [], [])
    chosen = _apply_patterns(walk, config)
    chosen = {path for path in chosen if not is_left_out_file(path)}
    if outside := sorted(chosen & walk.leading_out):
        raise _leads_outside(outside[0])
    return sorted(chosen)


def _visit(
    walk: _Walk, directory: Path, prefix: str, ignores: list[tuple[str, GitIgnoreSpec]], trail: list[str]
) -> None:
    real = os.path.realpath(directory)
    if real in trail:
        raise BundleInvalid(f"The link `{prefix[:-1]}` points to a parent directory.", hint="Remove it.")
    trail = [*trail, real]
    ignores = [*ignores, *_ignore_rules(directory, prefix)]
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            _visit_entry(walk, entry, f"{prefix}{entry.name}", ignores, trail)


def _visit_entry(
    walk: _Walk, entry: os.DirEntry[str], path: str, ignores: list[tuple[str, GitIgnoreSpec]], trail: list[str]
) -> None:
    is_directory = entry.is_dir()
    if _ignored(f"{path}/" if is_directory else path, ignores):
        return
    outside = entry.is_symlink() and not _inside(walk.root, entry.path)
    if is_directory and is_left_out_directory(path):
        walk.left_out.append(f"{path}/_")
    elif is_directory and outside:
        walk.leading_out.add(f"{path}/")
        walk.files.append(f"{path}/")
    elif is_directory:
        _visit(walk, Path(entry.path), f"{path}/", ignores, trail)
    elif entry.is_file() or entry.is_symlink():
        walk.files.append(path)
        if outside or not entry.is_file():
            walk.leading_out.add(path)


def _inside(root: Path, path: str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(root)


def _ignore_rules(directory: Path, prefix: str) -> list[tuple[str, GitIgnoreSpec]]:
    try:
        lines = (directory / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    try:
        return [(prefix, _spec(lines))]
    except ValueError:  # git passes over a line that is no pattern
        return [(prefix, _spec([line for line in lines if _is_pattern(line)]))]


def _is_pattern(line: str) -> bool:
    try:
        _spec([line])
    except ValueError:
        return False
    return True


def _ignored(path: str, ignores: list[tuple[str, GitIgnoreSpec]]) -> bool:
    """Whether the rules exclude `path`; as in git, those of the innermost directory that say something decide."""
    for prefix, spec in reversed(ignores):
        if (verdict := spec.check_file(path[len(prefix) :]).include) is not None:
            return verdict
    return False


def _apply_patterns(walk: _Walk, config: AppConfig) -> set[str]:
    for pattern in (*config.include, *config.exclude):
        if not _is_pattern(pattern):
            raise AppInvalid(f'pyproject.toml: "{pattern}" is not a valid pattern.', hint="Use .gitignore syntax.")
    allowed = [path for path in walk.files if is_allowed_kind(path) or path.endswith("/")]
    chosen = set(allowed)
    if config.include:
        for pattern in config.include:
            if not _touches(pattern, allowed):
                raise _no_match("fab-include", pattern, _matches([pattern], walk.files))
        chosen = set(_matches(config.include, allowed))
    for pattern in config.exclude:
        if not _touches(pattern, [*walk.files, *walk.left_out]):
            raise _no_match("fab-exclude", pattern, [])
    return chosen - set(_matches(config.exclude, allowed))


def _touches(pattern: str, paths: list[str]) -> bool:
    """Whether the pattern, or what it takes back with `!`, matches any of `paths`."""
    return bool(_matches([pattern.removeprefix("!")], paths))


def _matches(patterns: list[str], paths: list[str]) -> list[str]:
    spec = _spec(patterns)
    return [path for path in paths if spec.match_file(f"{path}_" if path.endswith("/") else path)]


def _spec(lines: list[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)


def _no_match(key: str, pattern: str, other_kinds: list[str]) -> AppInvalid:
    if not other_kinds:
        message = f'pyproject.toml: the pattern "{pattern}" in `{key}` matches no file of the app.'
        return AppInvalid(message, hint="Correct or remove it; files excluded by .gitignore do not count.")
    message = f'pyproject.toml: the pattern "{pattern}" in `{key}` matches only file types that are not allowed'
    return AppInvalid(
        f"{message}, such as {other_kinds[0]}.",
        hint=f"A bundle may contain {KINDS}; read data from outside the bundle.",
    )


def _leads_outside(path: str) -> BundleInvalid:
    return BundleInvalid(
        f"The link `{path.rstrip('/')}` points outside the app or to nothing; a bundle contains only the app's own files.",
        hint="Copy what the app needs, or exclude the link with .gitignore or `fab-exclude`.",
    )


_DATE = (2024, 10, 1, 0, 0, 0)
_MODE = stat.S_IFREG | 0o644


@dataclass(frozen=True)
class BuiltFab:
    """A bundle: the ZIP's bytes, their lowercase hex SHA-256, the file name to store it under, and the app's description."""

    data: bytes
    hash: str
    filename: str
    config: AppConfig


def build_fab(path: Path) -> BuiltFab:
    """The bundle of the app in the directory `path`.

    Raises AppInvalid if the app's description is not valid and BundleInvalid if its files may not be bundled.
    """
    config = load_app(path)
    files = {PYPROJECT: _shared_pyproject(path / PYPROJECT, config)}
    paths = collect(path, config)
    _check_paths(paths)
    for name in paths:
        files[name] = _read(path / name)
    check_files(config, files)
    data = _zip({**files, MANIFEST: write_manifest(files)})
    if len(data) > MAX_FAB_BYTES:
        raise _too_large(files)
    digest = hashlib.sha256(data).hexdigest()
    return BuiltFab(data, digest, fab_filename(config, digest), config)


def given_fab(data: bytes) -> BuiltFab:
    """The bundle in `data`, built before, by `umbel build` or by Flower, and verified now. Raises BundleInvalid."""
    fab = read_fab(data)
    return BuiltFab(data, fab.hash, fab_filename(fab.config, fab.hash), fab.config)


def fab_filename(config: AppConfig, digest: str) -> str:
    """`<publisher>.<name>.<version with dashes>.<first 8 of the hash>.fab`."""
    version = re.sub(r"[^A-Za-z0-9-]", "-", config.version)
    return f"{config.publisher}.{config.name}.{version}.{digest[:8]}.fab"


def _shared_pyproject(file: Path, config: AppConfig) -> bytes:
    """The app's pyproject.toml without addresses of the author's own federations.

    Of an old table of federations, only the simulation settings travel. Where there is none, the file's bytes stay as
    they are, so that comments reach the people who review the app.
    """
    raw = file.read_bytes()
    document = parse_toml(raw, str(file))
    flwr = document.get("tool", {}).get("flwr")
    if not isinstance(flwr, dict) or flwr.pop("federations", None) is None:
        return raw
    if config.source == "flwr" and config.federation:
        flwr["app"]["federation"] = unflatten(config.federation)
    import tomli_w

    return tomli_w.dumps(document).encode()


def _check_paths(paths: list[str]) -> None:
    if len(paths) > MAX_FILES:
        raise BundleInvalid(f"The app has {len(paths)} files, more than the limit of {MAX_FILES}.", hint=_LEAVE_OUT)
    for path in paths:
        if reason := unsafe_path(path):
            raise BundleInvalid(f"The file name `{path}` is not allowed in a bundle: {reason}.", hint="Rename it.")
    if pair := same_on_some_system([PYPROJECT, *paths]):
        raise BundleInvalid(f"`{pair[0]}` and `{pair[1]}` are the same file name on some systems.", hint="Rename one.")


_LEAVE_OUT = "Exclude files with .gitignore or `fab-exclude`."


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise BundleInvalid(f"{file} is larger than {MAX_FILE_BYTES >> 20} MiB.", hint=_LEAVE_OUT)
        return file.read_bytes()
    except OSError as error:
        raise BundleInvalid(f"{file} cannot be read: {error.strerror}.") from error


def _zip(files: Mapping[str, bytes]) -> bytes:
    """The entries are stored, not deflated: zlib and its replacements give different bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3
            info.external_attr = _MODE << 16
            archive.writestr(info, data, zipfile.ZIP_STORED)
    return buffer.getvalue()


def _too_large(files: Mapping[str, bytes]) -> BundleInvalid:
    largest = sorted(files, key=lambda name: -len(files[name]))[:3]
    listed = ", ".join(f"{name} ({len(files[name]) / 1e6:.1f} MB)" for name in largest)
    return BundleInvalid(
        f"The bundle is larger than {MAX_FAB_BYTES >> 20} MiB. Its largest files: {listed}.", hint=_LEAVE_OUT
    )
