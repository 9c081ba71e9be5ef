"""Reads a bundle that may come from anybody: every entry is checked, nothing is written and nothing is executed."""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.bundle.components import check_files
from umbel.bundle.config import AppConfig
from umbel.bundle.load import PYPROJECT, parse_app
from umbel.bundle.manifest import check_manifest
from umbel.bundle.names import same_on_some_system, unsafe_path
from umbel.bundle.rules import (
    KINDS,
    MANIFEST,
    MAX_FAB_BYTES,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_RATIO,
    MAX_TOTAL_BYTES,
    RATIO_FROM_BYTES,
    is_allowed_kind,
)
from umbel.bundle.unzip import unzip
from umbel.errors import AppInvalid, BundleInvalid

_CENTRAL_HEADER = b"PK\x01\x02"
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, ValueError, OverflowError)


@dataclass(frozen=True)
class FabFile:
    """A verified file of a bundle: its size in bytes, its lowercase hex SHA-256 and its content."""

    size: int
    sha256: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Fab:
    """A verified bundle: the app's description, its files by path (relative, with `/`) and the SHA-256 of the ZIP."""

    config: AppConfig
    files: Mapping[str, FabFile]
    hash: str


def read_fab(data: bytes) -> Fab:
    """The bundle in the ZIP `data`, verified. Raises BundleInvalid with the reason."""
    contents = _unpack(data)
    manifest = contents.pop(MANIFEST, None)
    if manifest is None:
        raise BundleInvalid(f"The bundle has no manifest {MANIFEST}.", hint="Build it with `umbel build`.")
    digests = check_manifest(manifest, contents)
    config = _config(contents)
    files = {path: FabFile(len(content), digests[path], content) for path, content in contents.items()}
    return Fab(config, files, hashlib.sha256(data).hexdigest())


def _unpack(data: bytes) -> dict[str, bytes]:
    if len(data) > MAX_FAB_BYTES:
        raise BundleInvalid(f"The bundle is larger than {MAX_FAB_BYTES >> 20} MiB.")
    if not data.startswith(b"PK\x03\x04"):
        raise BundleInvalid("This is not a bundle: it does not begin as a ZIP file does.")
    # The directory is counted before it is parsed, as parsing makes an object of each of its entries.
    if data.count(_CENTRAL_HEADER) > 2 * MAX_FILES:
        raise _too_many()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive.infolist())
            return unzip(data, archive)
    except NotImplementedError as error:
        raise BundleInvalid(f"The bundle uses a feature of ZIP that is not allowed: {error}.") from None
    except _DAMAGE as error:
        raise BundleInvalid(f"The bundle is damaged: {error}.", hint="Build it anew or fetch it again.") from None


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_FILES + 2:
        raise _too_many()
    for info in entries:
        if reason := _refused(info):
            raise BundleInvalid(f"The entry {info.orig_filename!r:.120} is not allowed: {reason}.")
    if sum(info.file_size for info in entries) > MAX_TOTAL_BYTES:
        raise BundleInvalid(f"The bundle's files are larger than {MAX_TOTAL_BYTES >> 20} MiB together.")
    names = [info.filename for info in entries]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BundleInvalid(f"The bundle has two entries with the name `{twice}`.")
    if pair := same_on_some_system(names):
        raise BundleInvalid(f"The entries `{pair[0]}` and `{pair[1]}` are the same on some systems.")


def _refused(info: zipfile.ZipInfo) -> str | None:
    """Why an entry may not be in a bundle, or None if it may."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    inflated = info.file_size > RATIO_FROM_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1)
    compressed = info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    checks = (
        # zipfile cleans names up (a NUL byte, the system's separator); it is the name as written that must be clean.
        (unsafe := unsafe_path(info.orig_filename), unsafe),
        (info.extra, "it has an extra field, which may give it a second name"),
        (info.flag_bits & _ENCRYPTED, "it is encrypted"),
        (kind == stat.S_IFLNK, "it is a symbolic link"),
        (kind not in (0, stat.S_IFREG), "it is not a regular file"),
        (compressed, "it is neither stored nor deflated"),
        (info.filename != MANIFEST and not is_allowed_kind(info.filename), f"a bundle holds only {KINDS}"),
        (info.file_size > MAX_FILE_BYTES, f"it is larger than {MAX_FILE_BYTES >> 20} MiB"),
        (inflated, f"it unpacks to more than {MAX_RATIO} times its size"),
    )
    return next((reason for wrong, reason in checks if wrong), None)


def _config(contents: Mapping[str, bytes]) -> AppConfig:
    if PYPROJECT not in contents:
        raise BundleInvalid(f"The bundle has no {PYPROJECT}.", hint="Build it with `umbel build`.")
    try:
        config = parse_app(contents[PYPROJECT], f"{PYPROJECT} in the bundle")
        check_files(config, contents)
    except AppInvalid as error:
        raise BundleInvalid(error.message, hint=error.hint) from error
    return config


def _too_many() -> BundleInvalid:
    return BundleInvalid(f"The bundle has more than {MAX_FILES} files.")
