from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.apps import fab_files, make_zip, write_app
from tests.support.source_tree import ROOT
from umbel.bundle import build_fab, given_fab, install_fab, read_fab
from umbel.bundle.limits import MAX_FILES
from umbel.bundle.manifest import write_manifest
from umbel.errors import BundleInvalid

VALID = make_zip(fab_files())


def test_what_is_built_can_be_read(tmp_path: Path) -> None:
    """A bundle gives back the app's files, their digests and its description, under the same hash."""
    built = build_fab(write_app(tmp_path, files={"data/x.json": "{}"}))
    fab = read_fab(built.data)
    assert (fab.hash, fab.config) == (built.hash, built.config)
    file = fab.files["data/x.json"]
    assert (file.size, file.sha256, file.content) == (2, hashlib.sha256(b"{}").hexdigest(), b"{}")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_bundle_from_elsewhere_can_be_read(compression: int) -> None:
    """A bundle that another tool wrote, deflated or stored, is as good as ours."""
    assert read_fab(make_zip(fab_files(), compression=compression)).config.fab_id == "me/my-app"


def with_entry(name: str, content: bytes = b"x") -> bytes:
    """A bundle with one more entry of this name, and listed in its manifest."""
    return make_zip(fab_files({name: content}))


def with_info(change: Callable[[zipfile.ZipInfo], None]) -> bytes:
    """A bundle with one more entry, of which this was changed."""
    info = zipfile.ZipInfo("x.py")
    change(info)
    buffer = io.BytesIO(make_zip(fab_files(), write_manifest(fab_files({"x.py": b"y"}))))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(info, b"y", compress_type=info.compress_type)
    return buffer.getvalue()


def mode(bits: int) -> Callable[[zipfile.ZipInfo], None]:
    """Sets the Unix mode of an entry."""

    def change(info: zipfile.ZipInfo) -> None:
        info.external_attr = bits << 16

    return change


def extra(info: zipfile.ZipInfo) -> None:
    """Gives an entry a second name, as some tools read it."""
    second = b"/etc/y.py"
    info.extra = struct.pack("<HHBI", 0x7075, 5 + len(second), 1, zlib.crc32(b"x.py")) + second


def compressed_with(method: int) -> Callable[[zipfile.ZipInfo], None]:
    """Sets the compression method of an entry."""

    def change(info: zipfile.ZipInfo) -> None:
        info.compress_type = method

    return change


def renamed(old: bytes, new: bytes, name: str = "q.py") -> bytes:
    """A bundle in which the raw bytes of a name were replaced everywhere."""
    assert len(old) == len(new)
    return with_entry(name).replace(old, new)


def twice(first: str, second: str) -> bytes:
    """A bundle with these two entries more."""
    buffer = io.BytesIO(make_zip(fab_files({first: b"a"})))
    with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of duplicate names, which is what we want
        archive.writestr(second, b"b")
    return buffer.getvalue()


def patched(offset_in_central: int, form: str, value: int) -> bytes:
    """A bundle whose first central directory entry has another value at this place."""
    data = bytearray(VALID)
    struct.pack_into(form, data, data.index(b"PK\x01\x02") + offset_in_central, value)
    return bytes(data)


def understated() -> bytes:
    """A bundle that declares 10 bytes for a file that unpacks to 50 MB, in the headers and in the manifest."""
    content = b"0" * 50_000_000
    declared = write_manifest(fab_files({"x.json": content[:10]}))
    data = make_zip(fab_files({"x.json": content}), declared)
    checksum = zlib.crc32(content[:10])
    packed = len(content)
    data = data.replace(struct.pack("<I", packed), struct.pack("<I", 10))
    return data.replace(struct.pack("<I", zlib.crc32(content)), struct.pack("<I", checksum))


def declared(content: bytes, method: int, checksum: int, size: int) -> bytes:
    """A bundle whose last file holds this content and is declared, in header and directory alike, as something else."""
    files = fab_files({"x.py": b"y"})
    data = bytearray(make_zip({**files, "x.py": content}, write_manifest(files), zipfile.ZIP_STORED))
    for header, offset in ((data.index(b"x.py") - 30, 8), (data.rindex(b"x.py") - 46, 10)):
        struct.pack_into("<H", data, header + offset, method)
        struct.pack_into("<III", data, header + offset + 6, checksum, len(content), size)
    return bytes(data)


def followed() -> bytes:
    """A bundle in which bytes follow the end of a deflated stream, within the size it declares as packed."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return declared(packer.compress(b"y") + packer.flush() + b"more", zipfile.ZIP_DEFLATED, zlib.crc32(b"y"), 1)


def commented() -> bytes:
    """A bundle with a comment at its end."""
    buffer = io.BytesIO(VALID)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"more"
    return buffer.getvalue()


def moved(data: bytearray, entry: int, by: int) -> None:
    """Moves the place of an entry, as its directory says it."""
    at = -1
    for _ in range(entry + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    struct.pack_into("<I", data, at + 42, struct.unpack_from("<I", data, at + 42)[0] + by)


def gap() -> bytes:
    """A bundle with bytes between two entries that the directory does not mention."""
    data = bytearray(VALID)
    second = data.index(b"PK\x03\x04", 4)
    count = data.count(b"PK\x01\x02")
    data[second:second] = b"more"
    for entry in range(1, count):
        moved(data, entry, 4)
    start = len(data) - 6
    struct.pack_into("<I", data, start, struct.unpack_from("<I", data, start)[0] + 4)
    return bytes(data)


def before_directory() -> bytes:
    """A bundle with bytes between the last entry and the directory."""
    data = bytearray(VALID)
    directory = data.index(b"PK\x01\x02")
    data[directory:directory] = b"more"
    struct.pack_into("<I", data, len(data) - 6, directory + 4)
    return bytes(data)


def overlap() -> bytes:
    """A bundle whose second entry begins where its first one does."""
    data = bytearray(VALID)
    moved(data, 1, -struct.unpack_from("<I", data, data.index(b"PK\x01\x02") + 42)[0] - data.index(b"PK\x03\x04", 4))
    return bytes(data)


HUGE = 2**32 - 2
MALICIOUS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a bundle"),
    "no zip": (lambda: b"hello", "not a bundle"),
    "program before the zip": (lambda: b"#!/bin/sh\n" + VALID, "not a bundle"),
    "bytes after the end": (lambda: VALID + b"more", "belong to none|damaged"),
    "comment": (commented, "bytes outside its entries"),
    "bytes between entries": (gap, "there is a gap before"),
    "bytes before the directory": (before_directory, "bytes outside its entries"),
    "two entries of one content": (overlap, "there is a gap before"),
    "another name in the header": (lambda: VALID.replace(b"pyproject.toml", b"pyproject.tomL", 1), "differ"),
    "bytes after the end of a stream": (followed, "size of the entry `x.py` is not the declared"),
    "wrong checksum": (lambda: declared(b"y", zipfile.ZIP_STORED, 7, 1), "checksum of the entry `x.py` does not match"),
    "another checksum": (lambda: patched(16, "<I", 7), "differ"),
    "cut short": (lambda: VALID[:-30], "damaged"),
    "too large": (lambda: VALID + b"\0" * (32 << 20), "larger than 32 MiB"),
    "absolute": (lambda: with_entry("/etc/x.py"), "absolute"),
    "parent": (lambda: with_entry("../x.py"), r"the component `\.\.`"),
    "parent within": (lambda: with_entry("a/../../x.py"), r"the component `\.\.`"),
    "here": (lambda: with_entry("./x.py"), r"the component `\.`"),
    "double slash": (lambda: with_entry("a//x.py"), "the component ``"),
    "backslash": (lambda: with_entry("a\\x.py"), "backslash"),
    "drive": (lambda: with_entry("C:x.py"), "colon"),
    "NUL in the name": (lambda: renamed(b"qq.py", b"q\0.py", "qq.py"), "control character"),
    "line end in the name": (lambda: with_entry("a\nb.py"), "control character"),
    "device": (lambda: with_entry("a/NUL.py"), "device"),
    "trailing dot": (lambda: with_entry("a./x.py"), "ends in a dot"),
    "long name": (lambda: with_entry("a" * 300 + ".py"), "longer than"),
    "deep": (lambda: with_entry("a/" * 20 + "x.py"), "directories deep"),
    "directory": (lambda: with_entry("a/", b""), "the component ``"),
    "binary": (lambda: with_entry("x.so"), "may contain only"),
    "path file": (lambda: with_entry("x.pth"), "may contain only"),
    "no suffix": (lambda: with_entry("sub/LICENSE"), "may contain only"),
    "second manifest": (lambda: with_entry(".info/MORE"), "may contain only"),
    "duplicate": (lambda: twice("x.py", "x.py"), "two entries with the name `x.py`"),
    "case": (lambda: twice("x.py", "X.py"), r"`x\.py` and `X\.py` are the same"),
    "Unicode form": (lambda: twice("\u00e9.py", "e\u0301.py"), "are the same"),
    "directory's case": (lambda: twice("my_app/x.py", "My_app/y.py"), "are the same"),
    "file as directory": (lambda: twice("x.py", "x.py/y.py"), r"`x\.py` and `x\.py/y\.py`"),
    "symbolic link": (lambda: with_info(mode(0o120777)), "symbolic link"),
    "device node": (lambda: with_info(mode(0o020666)), "not a regular file"),
    "second name": (lambda: with_info(extra), "second name"),
    "bzip2": (lambda: with_info(compressed_with(zipfile.ZIP_BZIP2)), "neither stored nor deflated"),
    "encrypted": (lambda: patched(8, "<H", 0x1), "encrypted"),
    "strongly encrypted": (lambda: patched(8, "<H", 0x41), "encrypted"),
    "unknown method": (lambda: patched(10, "<H", 99), "neither stored nor deflated"),
    "unknown ZIP version": (lambda: patched(6, "<H", 255), "not allowed"),
    "declared size too large": (lambda: patched(24, "<I", HUGE), "larger than 32 MiB"),
    "declared size a little too large": (
        lambda: patched(24, "<I", len(fab_files()["pyproject.toml"]) + 1),
        "size|damaged",
    ),
    "declared size too small": (lambda: patched(24, "<I", 3), "damaged"),
    "declared packed size too large": (lambda: patched(20, "<I", 10**6), "damaged"),
    "offset behind the end": (lambda: patched(42, "<I", 10**8), "damaged"),
    "bomb": (lambda: with_entry("x.json", b"0" * 30_000_000), "times its size"),
    "many middling bombs": (
        lambda: make_zip(fab_files({f"{i}.json": b"01" * 500_000 for i in range(70)})),
        "larger than 64 MiB together",
    ),
    "bomb that understates": (understated, "damaged"),
    "no manifest": (lambda: make_zip(fab_files()).replace(b".info/CONTENT", b"info/CONT.md "[:13]), "no manifest|dot"),
    "manifest no text": (lambda: make_zip(fab_files(), b"\xff"), "not UTF-8"),
    "manifest empty": (lambda: make_zip(fab_files(), b""), "Line 1 of the bundle's manifest"),
    "manifest line": (lambda: make_zip(fab_files(), write_manifest(fab_files()) + b"x.py,12\n"), "Line 5"),
    "manifest twice": (lambda: make_zip(fab_files(), write_manifest(fab_files()) * 2), "lists `pyproject.toml` twice"),
    "missing": (
        lambda: make_zip(fab_files(), write_manifest(fab_files({"x.py": b""}))),
        "`x.py` is in the .* but not in",
    ),
    "extra": (
        lambda: make_zip(fab_files({"x.py": b""}), write_manifest(fab_files())),
        "`x.py` is in the .* not in its",
    ),
    "wrong digest": (
        lambda: make_zip(fab_files({"x.py": b"a"}), write_manifest(fab_files({"x.py": b"b"}))),
        "digest of `x.py` differs",
    ),
    "wrong size": (
        lambda: make_zip(fab_files({"x.py": b"a"}), write_manifest(fab_files({"x.py": b"bb"}))),
        "size of `x.py` differs",
    ),
    "no description": (lambda: make_zip({"x.py": b""}), r"no pyproject\.toml"),
    "bad description": (lambda: make_zip(fab_files({"pyproject.toml": b"["})), "not valid TOML"),
    "publisher with a path": (
        lambda: make_zip(fab_files({"pyproject.toml": fab_files()["pyproject.toml"].replace(b'"me"', b'"../x"')})),
        "publisher",
    ),
    "no module": (
        lambda: make_zip({name: data for name, data in fab_files().items() if "client" not in name}),
        "module of `clientapp`",
    ),
}


@pytest.mark.parametrize("case", MALICIOUS)
def test_a_bad_bundle_is_refused(case: str) -> None:
    """Each way to harm anyone who unpacks a bundle, or to say one thing and bring another, is refused with its reason."""
    make, said = MALICIOUS[case]
    with pytest.raises(BundleInvalid, match=said):
        read_fab(make())


def test_what_is_declared_alike_is_read() -> None:
    """The hand-made bundle of the cases above is valid when it declares what it holds."""
    assert read_fab(declared(b"y", zipfile.ZIP_STORED, zlib.crc32(b"y"), 1)).files["x.py"].content == b"y"


def test_too_many_files_are_refused() -> None:
    """A bundle with more files than allowed is refused, and one with very many before its directory is parsed."""
    with pytest.raises(BundleInvalid, match=f"more than {MAX_FILES} files"):
        read_fab(make_zip(fab_files({f"{i}.py": b"" for i in range(MAX_FILES + 1)}), compression=zipfile.ZIP_STORED))
    with pytest.raises(BundleInvalid, match=f"more than {MAX_FILES} files"):
        read_fab(b"PK\x03\x04" + b"PK\x01\x02" * (2 * MAX_FILES + 1))


@given(st.data())
def test_damage_is_always_told_as_such(data: st.DataObject) -> None:
    """Whatever bytes change in a bundle, it is refused as invalid or has the same files: nothing else ever happens."""
    damaged = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        fab = read_fab(bytes(damaged))
    except BundleInvalid:
        return
    assert {name: file.content for name, file in fab.files.items()} == fab_files()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    """Bytes that only begin like a ZIP file are refused as no bundle."""
    with pytest.raises(BundleInvalid):
        read_fab(b"PK\x03\x04" + tail)


def test_a_bundle_that_flower_built_can_be_read_and_installed(tmp_path: Path) -> None:
    """A FAB of format 1 from `flwr build` is verified, keeps its name and hash, and can be unpacked."""
    (file,) = (ROOT / "tests" / "compat" / "fab").glob("*.fab")
    fab = given_fab(file.read_bytes())
    assert (fab.filename, fab.hash[:8]) == (file.name, file.name.split(".")[-2])
    assert (fab.config.source, fab.config.fab_format_version, fab.config.version_target) == ("flwr", 1, "1.42.0")
    installed = install_fab(fab.data, tmp_path)
    assert installed.name == f"compat.query-actions.1.0.0.{fab.hash[:8]}"
    assert (installed / "LICENSE").exists()
    assert not (installed / "query_actions" / "notes.py").exists()
