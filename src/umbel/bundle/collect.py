"""Which files of an app's directory go into its bundle."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.bundle.config import AppConfig
from umbel.bundle.rules import KINDS, is_allowed_kind, is_left_out_directory, is_left_out_file
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
        raise BundleInvalid(f"The link `{prefix[:-1]}` leads back to a directory that holds it.", hint="Remove it.")
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
            raise AppInvalid(f'pyproject.toml: "{pattern}" is not a pattern.', hint="Write it as in a .gitignore.")
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
        return AppInvalid(message, hint="Mend or remove it; a file that .gitignore excludes does not count.")
    message = f'pyproject.toml: the pattern "{pattern}" in `{key}` matches only kinds of files that are not allowed'
    return AppInvalid(
        f"{message}, such as {other_kinds[0]}.", hint=f"A bundle holds {KINDS}; read data from its own place."
    )


def _leads_outside(path: str) -> BundleInvalid:
    return BundleInvalid(
        f"The link `{path.rstrip('/')}` leads outside the app, or nowhere; a bundle holds only the app's own files.",
        hint="Copy what the app needs, or leave the link out with .gitignore or `fab-exclude`.",
    )
