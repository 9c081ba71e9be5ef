"""Reading and verification of bundles."""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.bundle.config import AppConfig
from umbel.bundle.limits import (
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
from umbel.bundle.load import PYPROJECT, parse_app
from umbel.bundle.manifest import check_files, check_manifest, same_on_some_system, unsafe_path
from umbel.errors import AppInvalid, BundleInvalid

_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_UTF8 = 0x800


def unzip(data: bytes, archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The content of each entry of the `archive` that `data` is, by name, in their order.

    An entry is never unpacked beyond the size that it declares. Raises BundleInvalid if the entries do not fill the
    space before the directory one after another, or if one is not what the directory says.
    """
    contents: dict[str, bytes] = {}
    position = 0
    for info in archive.infolist():
        if info.header_offset != position:
            raise BundleInvalid(f"The bundle is damaged: there is a gap before the entry `{info.filename}`.")
        start = _content_start(data, info)
        position = start + info.compress_size
        contents[info.filename] = _inflate(data[start:position], info)
    _check_end(data, position)
    return contents


def _content_start(data: bytes, info: zipfile.ZipInfo) -> int:
    """Where the entry's content begins, behind a header that says what the directory says."""
    signature, _, flags, method, _, _, *sums_and_lengths = _LOCAL.unpack_from(data, info.header_offset)
    name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
    start = info.header_offset + _LOCAL.size + len(name)
    said = (signature, flags, method, *sums_and_lengths, data[start - len(name) : start])
    wanted = (
        b"PK\x03\x04",
        info.flag_bits,
        info.compress_type,
        info.CRC,
        info.compress_size,
        info.file_size,
        len(name),
        0,
    )
    if said != (*wanted, name):
        raise BundleInvalid(f"The bundle is damaged: the central directory and the header of `{info.filename}` differ.")
    return start


def _inflate(packed: bytes, info: zipfile.ZipInfo) -> bytes:
    content, whole = packed, True
    if info.compress_type == zipfile.ZIP_DEFLATED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        content = inflater.decompress(packed, info.file_size + 1)
        whole = inflater.eof and not inflater.unused_data
    if not whole or len(content) != info.file_size:
        raise BundleInvalid(f"The bundle is damaged: the size of the entry `{info.filename}` is not the declared one.")
    if zlib.crc32(content) != info.CRC:
        raise BundleInvalid(f"The bundle is damaged: the checksum of the entry `{info.filename}` does not match.")
    return content


def _check_end(data: bytes, directory: int) -> None:
    """The directory follows the last entry, and the end record, without a comment, follows the directory."""
    signature, *_, size, start, comment = _END.unpack_from(data, len(data) - _END.size)
    if (signature, start, start + size, comment) != (b"PK\x05\x06", directory, len(data) - _END.size, 0):
        raise BundleInvalid("The bundle is damaged: it contains bytes outside its entries.")


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
        raise BundleInvalid("This is not a bundle: it is not a ZIP file.")
    # The directory is counted before it is parsed, as parsing makes an object of each of its entries.
    if data.count(_CENTRAL_HEADER) > 2 * MAX_FILES:
        raise _too_many()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive.infolist())
            return unzip(data, archive)
    except NotImplementedError as error:
        raise BundleInvalid(f"The bundle uses a ZIP feature that is not allowed: {error}.") from None
    except _DAMAGE as error:
        raise BundleInvalid(f"The bundle is damaged: {error}.", hint="Build it again, or download it again.") from None


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
        raise BundleInvalid(f"The entries `{pair[0]}` and `{pair[1]}` are the same file name on some systems.")


def _refused(info: zipfile.ZipInfo) -> str | None:
    """Why an entry may not be in a bundle, or None if it may."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    inflated = info.file_size > RATIO_FROM_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1)
    compressed = info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    checks = (
        # zipfile cleans names up (a NUL byte, the system's separator); it is the name as written that must be clean.
        (unsafe := unsafe_path(info.orig_filename), unsafe),
        (info.extra, "it has an extra field, which may contain a second name"),
        (info.flag_bits & _ENCRYPTED, "it is encrypted"),
        (kind == stat.S_IFLNK, "it is a symbolic link"),
        (kind not in (0, stat.S_IFREG), "it is not a regular file"),
        (compressed, "it is neither stored nor deflated"),
        (info.filename != MANIFEST and not is_allowed_kind(info.filename), f"a bundle may contain only {KINDS}"),
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
